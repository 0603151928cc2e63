"""One photograph and one network give one picture, whatever door they go through."""

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

if find_spec("ai_edge_quantizer") is None or find_spec("tf2onnx") is None:
    pytest.skip("needs kcolor[export]", allow_module_level=True)

from small_network import build_small

from kcolor.export import parity
from kcolor.export.onnx import export_onnx
from kcolor.export.saved_model import export_saved_model
from kcolor.export.tflite import ANY, CANVASES, export_tflite
from kcolor.inference.colorizer import Colorizer
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.resolve import load_predictor

# Height and width: every canvas, panoramas, odd sides, smaller than a view.
SIZES = [
    (256, 256),
    (300, 400),
    (301, 452),
    (180, 321),
    (120, 361),
    (361, 120),
    (452, 301),
    (400, 300),
    (40, 60),
    (61, 41),
    (700, 701),
    (9, 800),
]
# So large that the light path halves it first.
LARGE = (2050, 3077)


def photograph(height, width, seed):
    """Shapes, a gradient and grain, in color: what a resize must average rightly."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), "uint8")
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(image, (width // 3, height // 2), min(height, width) // 4, (9, 9, 9), -1)
    grain = rng.normal(0, 8, image.shape)
    return np.clip(image + grain, 0, 255).astype("uint8")


def open_doors(model, folder):
    """Exports a network in every way; returns dict of door to function of a picture."""
    any_size = {"serving_default": ANY}
    export_tflite(model, folder / "network.tflite", sizes=any_size)
    export_tflite(model, folder / "canvases.tflite", sizes=CANVASES)
    export_tflite(model, folder / "rgb.tflite", sizes=any_size, io="rgb")
    export_onnx(model, folder / "network.onnx", io="network")
    export_onnx(model, folder / "rgb.onnx", io="rgb")
    export_saved_model(model, folder / "saved")
    model.save(folder / "model.keras")
    doors = {
        name: Colorizer(str(folder / name), upsampling="bilinear")
        for name in (
            "network.tflite",
            "canvases.tflite",
            "network.onnx",
            "model.keras",
            "saved",
        )
    }
    for name in ("rgb.tflite", "rgb.onnx", "saved"):
        predictor = load_predictor(str(folder / name))
        doors[f"{name}, pictures"] = lambda image, run=predictor.predict_rgb: run(
            image[None]
        )[0]
    return doors


def largest_and_share(pictures, doors):
    """Largest difference from the light path, and the share of values over 2 levels."""
    largest, over, values = 0, 0, 0
    for image in pictures:
        expected = doors["network.tflite"](image).astype(int)
        for run in doors.values():
            difference = np.abs(run(image) - expected)
            largest = max(largest, difference.max())
            over += (difference > 2).sum()
            values += difference.size
    return largest, over / values


@pytest.fixture(scope="module")
def small_doors(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "PICTURES", 6)
        return open_doors(build_small(), tmp_path_factory.mktemp("doors"))


@pytest.mark.parametrize("size", SIZES)
def test_every_door_gives_the_same_picture(small_doors, size):
    image = photograph(*size, seed=sum(size))
    largest, over = largest_and_share([image], small_doors)
    assert np.ptp(small_doors["network.tflite"](image).astype(int), -1).mean() > 3
    assert largest <= 2 and over == 0


@pytest.mark.slow
def test_every_door_gives_the_same_picture_with_mobile(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "PICTURES", 6)
    doors = open_doors(load_model("mobile"), tmp_path)
    pictures = [photograph(*size, seed=sum(size)) for size in (*SIZES, LARGE)]
    pictures += list(parity.of_many_sizes(parity.pictures(limit=6)))
    largest, over = largest_and_share(pictures, doors)
    assert over < 0.001, largest
