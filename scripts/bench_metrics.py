"""Compares the rate of `kcolor evaluate` with a loop over scikit-image's functions.

Both read the same pictures, resize them, make the same two rows (gray and sepia), and
measure PSNR, SSIM, CIEDE2000 and colorfulness. Usage:

    scripts/bench metrics [--data SRC] [--images 200] [--lpips]
"""

import argparse
import json
import time
from dataclasses import replace

import numpy as np
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kcolor.color.constants import AB_SCALE
from kcolor.data.source import open_source
from kcolor.evaluation import Options, measure
from kcolor.images.resize import resize_square
from kcolor.parallel import evenly_spaced
from kcolor.process import keep_freed_memory

SEPIA = (4.0, 12.0)  # a*, b*


class Sepia:
    """Predicts one color everywhere, so that no network's time is measured."""

    name, kind, takes_rgb = "sepia", "constant", False

    def predict_ab(self, lightness):
        ab = np.array(SEPIA, "float32") / AB_SCALE
        return np.broadcast_to(ab, (*lightness.shape[:-1], 2))


def scikit_image(source, indices, size):
    """Measures one picture after the other, as most evaluation scripts do."""
    figures = []
    for index in indices:
        truth = resize_square(source.read(index), size)
        lab = rgb2lab(truth)
        for ab in ((0, 0), SEPIA):
            tinted = np.concatenate([lab[..., :1], np.full_like(lab[..., 1:], ab)], -1)
            prediction = np.rint(lab2rgb(tinted) * 255).astype(np.uint8)
            red, green, blue = np.moveaxis(prediction.astype("float64"), -1, 0)
            one, other = red - green, (red + green) / 2 - blue
            spread = np.hypot(one.std(), other.std())
            figures.append(
                (
                    peak_signal_noise_ratio(truth, prediction),
                    structural_similarity(
                        truth,
                        prediction,
                        gaussian_weights=True,
                        sigma=1.5,
                        use_sample_covariance=False,
                        data_range=255,
                        channel_axis=-1,
                    ),
                    deltaE_ciede2000(lab, rgb2lab(prediction)).mean(),
                    spread + 0.3 * np.hypot(one.mean(), other.mean()),
                )
            )
    return np.array(figures).reshape(len(indices), 2, 4)


def timed(function, *args, **options):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*args, **options)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="default: scikit-image's photographs")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--lpips", action="store_true", help="also time it with LPIPS")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command does
    source = open_source(arguments.data)
    indices = evenly_spaced(len(source), arguments.images)
    metrics = ["psnr", "ssim", "ciede2000", "colorfulness"]
    how = Options(size=arguments.size, limit=arguments.images, metrics=metrics)

    # Alternating halves: what else the machine does at the time hits both alike.
    loop, seconds = [], {"scikit-image": [0, 0]}
    for half in (indices[: len(indices) // 2], indices[len(indices) // 2 :]):
        figures, *spent = timed(scikit_image, source, half, arguments.size)
        loop.append(figures)
        seconds["scikit-image"] = np.add(seconds["scikit-image"], spent)
        if "kcolor" not in seconds:
            measured, *spent = timed(measure, [Sepia()], source, how)
            seconds["kcolor"] = np.array(spent)
    if arguments.lpips:
        how = replace(how, metrics=[*metrics, "lpips"])
        _, *spent = timed(measure, [Sepia()], source, how)
        seconds["kcolor with LPIPS"] = np.array(spent)

    # Only the gray row: the other's colors outside sRGB are kept differently.
    ours = np.stack([measured.rows["gray"][metric] for metric in metrics], axis=1)
    worst = np.abs(ours - np.concatenate(loop)[:, 0]).max(axis=0)
    result = {
        "images": len(indices),
        "rows": 2,
        "size": arguments.size,
        "images_per_second": {
            name: round(len(indices) / wall, 2) for name, (wall, _) in seconds.items()
        },
        "cpu_ms_per_image": {
            name: round(1000 * cpu / len(indices), 1)
            for name, (_, cpu) in seconds.items()
        },
        "ratio": round(float(seconds["scikit-image"][0] / seconds["kcolor"][0]), 2),
        "largest_difference_in_row_gray": dict(
            zip(metrics, worst.round(6).tolist(), strict=True)
        ),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
