"""Exact colors at single pixels of a full-size picture.

Between the small view and the picture lie enlargement and the slopes that follow its
texture; what they do to a known color is taken back here, on the small planes.
"""

import numpy as np

# Pixels of the view over which a correction fades out; it is whole within 1, so that
# what bilinear enlargement reads there is the correction itself.
_FADE = 4.0
# Of a correction, what a point has to itself; two that share more get the mean, since
# what tells them apart would be that many times as strong around them.
_OWN = 0.1
# Equations solved at a time.
_TOGETHER = 256


def pin(
    planes: list[np.ndarray],
    size: tuple[int, int],
    points: np.ndarray,
    wanted: np.ndarray,
    f: np.ndarray,
) -> None:
    """Corrects small planes so that some pixels of the enlarged ones are exact.

    Args:
        planes: Two float32 planes of shape `(h, w)`, or four, intercepts and then
            slopes of `f`; the first two are changed in place.
        size: `(height, width)` that they are enlarged to.
        points: Integer array of shape `(N, 2)`, x and y in the enlarged planes.
        wanted: float32 array of shape `(N, 2)`, what intercept + slope * f has to be.
        f: float32 array of shape `(N,)`, f at the points.
    """
    for start in range(0, len(points), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        _pin_together(planes, size, points[part], wanted[part], f[part])


def _pin_together(planes, size, points, wanted, f):
    height, width = planes[0].shape
    # Pixel centers, as the enlargement itself counts them.
    scale = np.array([width / size[1], height / size[0]])
    at = np.clip((points + 0.5) * scale - 0.5, 0, [width - 1, height - 1])
    corner = np.minimum(at.astype("intp"), np.maximum([width - 2, height - 2], 0))
    share = at - corner
    left, top = corner.T
    right, bottom = np.minimum(corner + 1, [width - 1, height - 1]).T
    x, y = share.T

    corners = [
        (top, left, (1 - y) * (1 - x)),
        (top, right, (1 - y) * x),
        (bottom, left, y * (1 - x)),
        (bottom, right, y * x),
    ]

    def read(plane):
        return sum(plane[row, column] * part for row, column, part in corners)

    missing = wanted - np.stack([read(plane) for plane in planes[:2]], axis=1)
    if len(planes) == 4:
        missing -= np.stack([read(plane) * f for plane in planes[2:]], axis=1)
    crossed = sum(
        _bump(row[:, None], column[:, None], at) * part[:, None]
        for row, column, part in corners
    )
    u, own, v = np.linalg.svd(crossed)
    kept = own >= _OWN
    amounts = v[kept].T @ (u.T[kept] @ missing / own[kept, None])
    reach = int(np.ceil(_FADE))
    for center, amount in zip(at, amounts, strict=True):
        low = np.maximum(center.astype("intp") - reach, 0)
        rows, columns = (slice(n, n + 2 * reach + 2) for n in low[::-1])
        row = np.arange(height)[rows, None]
        bump = _bump(row, np.arange(width)[columns], center)
        for plane, channel in zip(planes[:2], amount, strict=True):
            plane[rows, columns] += channel * bump


def _bump(row, column, center):
    far = np.hypot(column - center[..., 0], row - center[..., 1])
    # The four pixels that are read lie within the square root of 2.
    return np.clip((_FADE - far) / (_FADE - 1.5), 0, 1)
