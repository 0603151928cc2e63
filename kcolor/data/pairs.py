"""Which of a list of files are pictures, and which of them belong together."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from kcolor.data.names import Names
from kcolor.errors import DataError
from kcolor.images import formats

_SHOWN = 5  # names in a message


def find_pictures(
    path: Path | str, names: Sequence[str]
) -> tuple[Sequence[str], Sequence[int] | np.ndarray, list[int] | None]:
    """Finds the pictures of a folder or archive, and pairs `color/` with `gray/`.

    Args:
        path: The folder or archive, for messages.
        names: POSIX paths of the files in it.

    Returns:
        Tuple of the pictures' names, the position in `names` of each, and None. Where
        there are pairs: of the pairs' names (without side and suffix), the positions
        of the color pictures, and those of the gray ones.

    Raises:
        DataError: If there is no picture; or if both sides are there, and a picture has
            no partner, two have one stem, or one lies beside the two folders.
    """
    listed = names if isinstance(names, Names) else Names(names)
    found = np.flatnonzero(_are_pictures(listed))
    if not len(found):
        raise DataError(f"{path}: holds no picture ({', '.join(formats.BY_SUFFIX)})")
    pictures = listed.take(found)
    if not pictures.have_part("gray/").any():
        return pictures, found, None
    sides: dict[str | None, list[int]] = {"color": [], "gray": [], None: []}
    for position in found.tolist():
        # An archive often holds one top folder; the two may lie below it.
        folders = names[position].split("/")[:-1][:2]
        sides[next((f for f in folders if f in sides), None)].append(position)
    beside = sorted(names[i] for i in sides[None])
    if not sides["gray"] or (beside and not sides["color"]):
        return pictures, found, None
    if beside:
        shown = ", ".join(beside[:_SHOWN]) + (", ..." if beside[_SHOWN:] else "")
        raise DataError(
            f"{path}: {len(beside)} of its pictures are neither in color/ nor gray/: "
            f"{shown}"
        )
    truths = _by_stem(path, names, sides["color"], "color")
    inputs = _by_stem(path, names, sides["gray"], "gray")
    _check_partners(path, truths, "color", inputs, "gray")
    _check_partners(path, inputs, "gray", truths, "color")
    return list(truths), list(truths.values()), [inputs[stem] for stem in truths]


def _are_pictures(names):
    hidden = names.have_part(".") | names.have_part("__MACOSX")
    return names.end_with(formats.BY_SUFFIX) & ~hidden


def _by_stem(path, names, positions, side):
    stems: dict[str, int] = {}
    for position in positions:
        parts = [part for part in names[position].split("/") if part != side]
        stem = str(PurePosixPath(*parts).with_suffix(""))
        if stem in stems:
            raise DataError(f"{path}: two files of the stem {stem} in {side}/")
        stems[stem] = position
    return stems


def _check_partners(path, ours, side, theirs, other):
    alone = sorted(set(ours) - set(theirs))
    if alone:
        raise DataError(
            f"{path}: {side}/{alone[0]} has no partner of the same stem in {other}/ "
            f"({len(alone)} such)"
        )
