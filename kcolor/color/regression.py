"""What known colors tell of the rest of a picture: Gaussian process regression.

Where a prediction is wrong it is wrong alike elsewhere: nearby, where lightness and
predicted colors are alike, and a little in the whole picture. Three kernels say how
much; what is expected of the rest, given some of it, is a linear system with one
equation for each known color (Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, equation 2.25). NumPy only.
"""

import numpy as np

from kcolor.color.constants import AB_SCALE

# How alike errors are nearby, further on and in the whole picture: their size there, in
# units of ab, and the differences over which that fades. Fitted on 160 validation
# pictures with 1 to 50 patches of true color, and on as many in which an area had got a
# color of its own that must not tint what lies around it.
_ERRORS = np.array([7.3, 6.0, 6.0], "float32")
_PIXELS = np.array([37, 150, 440], "float32")
_LIGHTNESS = np.array([14, 16, 16], "float32")  # L*
_AB = np.array([9, 18, 10.5], "float32")
# What in an error is of its pixel alone, units of ab.
_NOISE = 6.0
# Known pixels are taken together by cells; the cells grow until they are few.
_CELL = 8
_MOST = 96
_AT_ONCE = 8192


def regress(
    lightness: np.ndarray, ab: np.ndarray, known: np.ndarray, moved: np.ndarray
) -> np.ndarray:
    """Estimates everywhere what is missing to the true colors.

    Args:
        lightness: float32 array of shape `(H, W)`, L*.
        ab: float32 array of shape `(H, W, 2)`, predicted a* and b* / 110: which pixels
            are alike.
        known: float32 array of shape `(H, W, 3)`: a* and b* / 110 and a mask, 0 or 1;
            the mask is not all 0.
        moved: As `ab`, what is to be corrected; it may know of the known colors.

    Returns:
        float32 array of shape `(H, W, 2)`, to be added to `moved`.
    """
    height, width = lightness.shape
    places = np.empty((height, width, 5), "float32")
    places[..., 0] = np.arange(width)
    places[..., 1] = np.arange(height)[:, None]
    places[..., 2] = lightness
    places[..., 3:] = ab * np.float32(AB_SCALE)
    at = np.nonzero(known[..., 2])
    missing = (known[at][:, :2] - moved[at]) * np.float32(AB_SCALE)
    told = _together(at, np.concatenate([places[at], missing], axis=1))
    patches, missing = told[:, :5], told[:, 5:]
    alike = _kernel(patches, patches) + _NOISE**2 * np.eye(len(patches))
    weights = np.linalg.solve(alike, missing).astype("float32")
    result = np.empty((height * width, 2), "float32")
    pixels = places.reshape(-1, 5)
    for start in range(0, len(pixels), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        np.matmul(_kernel(pixels[part], patches), weights, out=result[part])
    return result.reshape(height, width, 2) * np.float32(1 / AB_SCALE)


def _kernel(pixels, patches):
    # Squared exponentials, (N, M).
    total = np.zeros((len(pixels), len(patches)), "float32")
    spans = np.stack([_PIXELS, _PIXELS, _LIGHTNESS, _AB, _AB], axis=1)
    for error, scale in zip(_ERRORS, 1 / spans, strict=True):
        one, other = pixels * scale, patches * scale
        far = one @ other.T
        far -= np.square(one).sum(axis=1, keepdims=True) / 2
        far -= np.square(other).sum(axis=1) / 2
        np.exp(far, out=far)
        far *= error * error
        total += far
    return total


def _together(at, values):
    # Means of the known pixels' values, (N, C), over each cell that has any.
    cell = _CELL
    while True:
        cells = (at[0] // cell << 32) + at[1] // cell
        _, inverse, counts = np.unique(cells, return_inverse=True, return_counts=True)
        if len(counts) <= _MOST:
            break
        cell *= 2
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, inverse, values)
    return (sums / counts[:, None]).astype("float32")
