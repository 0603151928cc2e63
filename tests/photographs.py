"""Pictures with edges, texture and a tint, made without Keras."""

import cv2
import numpy as np


def photograph(height, width, seed=0):
    """Returns uint8 `(height, width, 3)`, a toned picture of soft shapes."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (6, 7)).astype("float32")
    gray = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(8):
        x, y = rng.uniform(0, 1, 2) * (width, height)
        axes = rng.uniform(0.05, 0.3, 2) * min(width, height)
        level = float(rng.uniform(0, 255))
        center, axes = (int(x), int(y)), (int(axes[0]) + 1, int(axes[1]) + 1)
        cv2.ellipse(gray, center, axes, rng.uniform(0, 180), 0, 360, level, -1)
    gray = np.clip(gray + rng.normal(0, 4, gray.shape), 0, 255)
    return np.rint(gray[..., None] * [1.0, 0.93, 0.82]).astype("uint8")
