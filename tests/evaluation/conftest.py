"""Pictures to measure, and figures as if measured."""

import numpy as np
import pytest
from scenes import scene, write_picture

from kcolor.evaluation.measurements import Measurements

NAMES = [f"cars/{i:02d}.jpg" for i in range(9)] + [f"<b>odd</b>/{i}.jpg" for i in "ab"]
MODELS = ["before", "after & <i>new</i>"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for i in range(7):
        group = ("cars", "flowers", "street")[i % 3]
        # Some shrink, some grow, some do either in one direction.
        write_picture(root / group / f"{i}.png", scene(i, 32 + 12 * i, 90 - 8 * i))
    return root


@pytest.fixture
def measurements():
    generator = np.random.default_rng(0)
    rows = {}
    for i, row in enumerate(["gray", *MODELS]):
        rows[row] = {
            "psnr": generator.normal(24 + i, 2, 11),
            "ssim": generator.uniform(0.8, 1, 11),
            "ciede2000": generator.normal(10 - i, 1, 11),
            "colorfulness": generator.uniform(10, 40, 11),
        }
    return Measurements(
        names=NAMES,
        rows=rows,
        models={model: {"path": f"runs/{model}", "kind": "keras"} for model in MODELS},
        protocol={
            "images": 11,
            "name": "square24",
            "paired": False,
            "metrics": {"psnr": "", "ssim": "", "ciede2000": "", "colorfulness": ""},
            "versions": {"keras": "3.15.1"},
        },
    )
