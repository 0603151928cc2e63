"""Chroma for a luma that stays as it is: from a picture in color to Cb and Cr.

L* and luma weigh red, green and blue differently, so a picture cannot keep both. What
`host.recolor` gives has the photograph's L*; here its chroma is taken, and moved
towards gray where it and the photograph's luma together are outside of RGB: a decoder
would clip them there, and change hue and lightness.
"""

import cv2
import numpy as np

from kcolor.color.strips import strips

# JFIF: R, G and B beyond luma, from Cb and Cr.
_RED, _GREEN, _BLUE = (0.0, 1.402), (-0.344136, -0.714136), (1.772, 0.0)
# (R, G, B, 1) to Y', Cb and Cr.
_TO_YCC = np.array(
    [
        [0.299, 0.587, 0.114, 0],
        [-0.168736, -0.331264, 0.5, 128],
        [0.5, -0.418688, -0.081312, 128],
    ]
)
_STRIP = 1 << 15


def split(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Takes a picture apart as JPEG does.

    `cv2.cvtColor` takes Cb and Cr from a luma that is rounded already; the level that
    strong colors lose by it is as much as a good JPEG loses.

    Args:
        rgb: uint8 array of shape `(height, width, 3)`, gamma-encoded sRGB.

    Returns:
        Tuple of Y' of JFIF, Cb and Cr, uint8 arrays of shape `(height, width)`, 128 is
        gray; within one level.
    """
    planes = np.empty((3, *rgb.shape[:2]), "uint8")
    for rows in strips(rgb, _STRIP):
        cv2.split(cv2.transform(rgb[rows], _TO_YCC), list(planes[:, rows]))
    luma, blue, red = planes
    return luma, blue, red


def chroma(rgb: np.ndarray, luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures the chroma of a picture that is to be seen with another luma.

    Args:
        rgb: uint8 array of shape `(height, width, 3)`, gamma-encoded sRGB.
        luma: uint8 array of shape `(height, width)`: Y' of JFIF.

    Returns:
        Tuple of Cb and Cr, uint8 arrays of shape `(height, width)`, 128 is gray.
    """
    own, blue, red = split(rgb)
    parts = strips(rgb, _STRIP)
    # Split into memory that is there: twice as fast as into new.
    held = np.empty((3, *luma[parts[0]].shape), "uint8")
    for rows in parts:
        three = list(held[:, : len(luma[rows])])
        cv2.split(rgb[rows], three)
        _fit(three, own[rows], luma[rows], blue[rows], red[rows])
    return blue, red


def _fit(three, own, luma, blue, red):
    # What luma gains over that of `rgb`, its channels gain: few leave their range.
    room_above = cv2.bitwise_not(cv2.max(cv2.max(*three[:2]), three[2]))
    room_below = cv2.min(cv2.min(*three[:2]), three[2])
    beyond = cv2.compare(cv2.subtract(luma, own), room_above, cv2.CMP_GT)
    beyond |= cv2.compare(cv2.subtract(own, luma), room_below, cv2.CMP_GT)
    if not cv2.countNonZero(beyond):
        return
    at = np.flatnonzero(beyond != 0)
    luma, blue, red = (plane.reshape(-1) for plane in (luma, blue, red))
    y, cb, cr = (plane[at].astype("float32") for plane in (luma, blue, red))
    cb -= 128
    cr -= 128
    share = np.ones_like(y)
    for of_blue, of_red in (_RED, _GREEN, _BLUE):
        reach = cb * np.float32(of_blue) + cr * np.float32(of_red)
        room = np.where(reach > 0, 255 - y, y)
        np.minimum(share, room / np.maximum(np.abs(reach), 1e-3), out=share)
    blue[at] = cb * share + np.float32(128.5)
    red[at] = cr * share + np.float32(128.5)
