"""What a hint does to the other side of clear edges, in scikit-image's photographs."""

import cv2
import numpy as np
import pytest

from kcolor.color.host import lightness
from kcolor.data.source import open_sources
from kcolor.inference.colorizer import Colorizer

color = pytest.importorskip("skimage.color")
CASES = 20
_ACROSS = 12  # pixels between the two points


def edges(gray, count):
    """Finds pairs of points with a clear edge between and little going on around."""
    light = 50 * (lightness(gray) + 1)
    mean = cv2.blur(light, (7, 7))
    busy = np.sqrt(np.maximum(cv2.blur(light * light, (7, 7)) - mean * mean, 0))
    found = []
    for turn in (False, True):
        m, b = (x.T if turn else x for x in (mean, busy))
        score = np.maximum(b[:, :-_ACROSS], b[:, _ACROSS:])
        score[np.abs(m[:, :-_ACROSS] - m[:, _ACROSS:]) < 30] = np.inf
        score[:10], score[-10:], score[:, :10], score[:, -10:] = (np.inf,) * 4
        for _ in range(count):
            y, x = np.unravel_index(score.argmin(), score.shape)
            if score[y, x] > 3:
                break
            pair = (y, x), (y, x + _ACROSS)
            found.append([p[::-1] for p in pair] if turn else list(pair))
            score[max(y - 40, 0) : y + 40, max(x - 40, 0) : x + 40] = np.inf
    return light, mean, found


def other_side(light, mean, point):
    """Marks what belongs to a point: joined to it and as light, within 40 pixels."""
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    like = (np.abs(mean - mean[point]) < 6) & (np.abs(light - light[point]) < 12)
    like &= np.hypot(y - point[0], x - point[1]) < 40
    parts = cv2.connectedComponents(like.astype("uint8"), connectivity=4)[1]
    return (parts == parts[point]) & like[point]


def shown_at(light, angle):
    """Gives a color of a lightness, of a chroma that sRGB can show there."""
    chroma = min(35, 0.8 * min(light, 100 - light))
    lab = [light, chroma * np.cos(angle), chroma * np.sin(angle)]
    levels = np.clip(np.rint(color.lab2rgb(np.array([[lab]]))[0, 0] * 255), 0, 255)
    return tuple(int(level) for level in levels)


@pytest.mark.parametrize("model", ["mobile", "mobile-int8"])
def test_the_other_side_of_an_edge_changes_by_less_than_2_ciede2000(model):
    source = open_sources([])
    colorizer = Colorizer(model)
    across, own = [], []
    for index in range(len(source)):
        gray = cv2.cvtColor(source.read(index), cv2.COLOR_RGB2GRAY)
        session = colorizer.session(gray)
        before = color.rgb2lab(session())
        light, mean, pairs = edges(gray, 3)
        for asked, kept in pairs:
            asked, kept = (asked, kept) if len(own) % 2 else (kept, asked)
            area = other_side(light, mean, kept)
            if area.sum() < 150 or area[asked]:
                continue
            hint = (*asked[::-1], shown_at(light[asked], 2.4 * len(own)))
            after = color.rgb2lab(session([hint]))
            change = color.deltaE_ciede2000(before, after)
            across.append(change[area].mean())
            own.append(change[other_side(light, mean, asked)].mean())
    assert len(across) >= CASES
    assert np.mean(across) < 2, np.round(across, 1)
    assert np.mean(own) > 8
