"""Known colors, spread over the small view: along equal lightness, up to the edges.

First the prediction is moved by what known colors tell of the whole picture, see
`kcolor.color.regression`; then they take its place around them. Every step from pixel
to pixel has a length: short where lightness and the network's own colors stay as they
are, long across an edge. A pixel takes its colors from the known pixels that are near
along the shortest way, and less of them the longer that way is. NumPy only.
"""

import numpy as np

from kcolor.color.constants import AB_SCALE, LIGHTNESS_SCALE
from kcolor.color.regression import regress

# All lengths in the unit of which one step in a flat area has _STEP. Found on 48
# training pictures with 1, 5 and 20 patches of true color, where wider reach and lower
# edges gain still, against areas behind edges of 20 L* and more, which have to stay.
_STEP = 0.15
# A change of lightness over three pixels (L*) that makes a step longer by 1; and how
# many L* one unit of the network's own ab counts for.
_CHANGE = 3.5
_AB_COUNTS = 0.5
# The way, and the difference of L*, from which on little is left of a known color.
_REACH = 70.0
_LIGHTNESS_REACH = 30.0
# The same for what a network makes of known colors. It knows what belongs together, but
# not that an edge ends a color: alone, it tints the whole picture.
_HEARD_REACH = 280.0
_HEARD_LIGHTNESS_REACH = 20.0
# Pixels within which all that is known has to lie for a network to be heard. On 60
# validation pictures it gains 0.1 dB with one known color (on 240 test pictures 0.01),
# with two nothing, and with five it costs 0.35 dB, for the regression knows more.
_AREA = 32
# As _HEARD_REACH for what the regression tells; it knows of lightness itself.
_TOLD_REACH = 400.0
# Half the width of the seam where two known colors meet, as a length.
_SEAM = 3.0
# Ways that turn more often than this are rare and long.
_ROUNDS = 8
_PRECISION = 3.0
_FAR = 1e6
# Lengths are whole numbers of 1 / _UNITS.
_UNITS = 1024


def is_heard(known: np.ndarray) -> bool:
    """Says whether to ask a network what it makes of known colors.

    Args:
        known: As `spread` takes it.

    Returns:
        Whether colors are known in one small area and nowhere else.
    """
    at = np.argwhere(known[..., 2])
    return len(at) > 0 and bool(np.ptp(at, axis=0).max() < _AREA)


def spread(
    lightness: np.ndarray,
    ab: np.ndarray,
    known: np.ndarray,
    hinted: np.ndarray | None = None,
) -> np.ndarray:
    """Makes predicted colors agree with known ones.

    Around a known pixel its color takes the prediction's place; far away the prediction
    stays but for what the regression says, beyond clear edges almost as it is.

    Args:
        lightness: float32 array of shape `(H, W)`, L* / 50 - 1.
        ab: float32 array of shape `(H, W, 2)`, predicted a* and b* / 110.
        known: float32 array of shape `(H, W, 3)`: a* and b* / 110 and a mask, 0 or 1;
            zero where nothing is known.
        hinted: As `ab`, what a network predicts that has been told what is known; None:
            it does not take any, or is not to be asked, see `is_heard`. It counts where
            lightness is like a known pixel's, and less beyond edges.

    Returns:
        float32 array of shape `(H, W, 2)`, equal to `known` where the mask is 1.
    """
    mask = known[..., 2] > 0
    if not mask.any():
        return ab
    lightness = (lightness + 1) * np.float32(LIGHTNESS_SCALE)
    right, down = _step_lengths(lightness, ab)
    length, nearest = _shortest_ways(mask, right, down)
    # The nearest known ab, its L*, and 1; all averaged across the seams.
    given = np.empty((4, *mask.shape), "float32")
    given[:2] = known[..., :2].transpose(2, 0, 1).reshape(2, -1)[:, nearest]
    given[2] = lightness.ravel()[nearest]
    given[3] = 1
    given = _smooth(given, right, down)
    given = given[:3] / given[3]
    differs = lightness - given[2]
    moved = ab
    if hinted is not None:
        near = _nearness(length, _HEARD_REACH, differs, _HEARD_LIGHTNESS_REACH)
        moved = ab + near * (hinted - ab)
    told = regress(lightness, ab, known, moved)
    moved = moved + _nearness(length, _TOLD_REACH) * told
    certain = _nearness(length, _REACH, differs, _LIGHTNESS_REACH)
    result = moved + certain * (given[:2].transpose(1, 2, 0) - moved)
    result[mask] = known[mask, :2]
    return result


def _nearness(length, reach, differs=None, lightness_reach=None):
    far = np.square(length * np.float32(1 / reach))
    if differs is not None:
        far += np.square(differs * np.float32(1 / lightness_reach))
    return np.exp(-far)[..., None]


def _step_lengths(lightness, ab):
    # From each pixel to the next in its row, (H, W - 1), and in its column, (H - 1, W).
    planes = [lightness, *(ab.transpose(2, 0, 1) * np.float32(AB_SCALE * _AB_COUNTS))]
    lengths = []
    for axis in (1, 0):
        total = 0.0
        for plane in planes:
            # Over three pixels, as wide as the view's edges are: a soft one is no
            # lower than a sharp one.
            pad = [(1, 1) if at == axis else (0, 0) for at in range(2)]
            wide = np.pad(plane, pad, mode="edge")
            ends = [slice(None), slice(None)]
            starts = ends.copy()
            ends[axis], starts[axis] = slice(3, None), slice(None, -3)
            total = total + np.square(wide[tuple(ends)] - wide[tuple(starts)])
        lengths.append(np.float32(_STEP) + total * np.float32(_CHANGE**-2))
    return lengths


def _shortest_ways(mask, right, down):
    # Length of the shortest way to a known pixel, and which one that is, by its place
    # in the flat picture. Sweeps to all four sides until nothing changes; along rows
    # each is one running minimum, of lengths less the way walked so far.
    # Both in one number, whole lengths times `count` and the place: the least of those
    # has the shortest way. Float64 holds them exactly, here and in JavaScript.
    count = float(mask.size)
    right, down = (
        np.floor(steps.astype("float64") * _UNITS + 0.5) * count
        for steps in (right, down)
    )
    ways = np.arange(count).reshape(mask.shape)
    ways[~mask] += _FAR * _UNITS * count
    walked = np.zeros_like(ways)
    np.cumsum(right, axis=1, out=walked[:, 1:])
    for _ in range(_ROUNDS):
        before = ways.copy()
        _sweep_rows(ways, walked)
        _sweep_rows(ways[:, ::-1], -walked[:, ::-1])
        _sweep_columns(ways, down)
        _sweep_columns(ways[::-1], down[::-1])
        if (before - ways).max() < _PRECISION * _UNITS * count:
            break
    length, nearest = np.divmod(ways, count)
    return (length / _UNITS).astype("float32"), nearest.astype("int32")


def _sweep_rows(ways, walked):
    own = ways - walked
    np.minimum.accumulate(own, axis=1, out=own)
    np.add(own, walked, out=ways)


def _sweep_columns(ways, down):
    way = np.empty_like(ways[0])
    for y in range(1, len(ways)):
        np.add(ways[y - 1], down[y - 1], out=way)
        np.minimum(ways[y], way, out=ways[y])


def _smooth(planes, right, down):
    # Sums of `planes`, (C, H, W), over ways along rows and columns, each weighted by
    # exp(-length / seam): recursive filters, forth and back, by rows and by columns.
    along_rows = np.exp(right.T * np.float32(-1 / _SEAM))
    along_columns = np.exp(down * np.float32(-1 / _SEAM))
    planes = _both_ways(planes.transpose(2, 0, 1), along_rows)  # (W, C, H)
    planes = _both_ways(planes.transpose(2, 1, 0), along_columns)  # (H, C, W)
    return planes.transpose(1, 0, 2)


def _both_ways(planes, keep):
    forth = np.ascontiguousarray(planes)
    back = forth.copy()
    start = forth.copy()
    carried = np.empty_like(forth[0])
    last = len(forth) - 1
    for at in range(1, len(forth)):
        np.multiply(forth[at - 1], keep[at - 1], out=carried)
        forth[at] += carried
        np.multiply(back[last - at + 1], keep[last - at], out=carried)
        back[last - at] += carried
    forth += back
    forth -= start
    return forth
