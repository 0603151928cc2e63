"""Presets that other installed packages bring.

A pack's entry point of the group `kcolor.presets` names a package whose folder holds
cards and files: `my-pack = "my_pack.presets"`. What a reader would get wrong: that
package is only found, never imported. A pack is data, and its code cannot fail here.
"""

from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from kcolor import presets
from kcolor.errors import DataError

GROUP = "kcolor.presets"


def get(name: str) -> presets.Preset | None:
    """Finds the preset of a name that is no bundled one's.

    Args:
        name: The preset's name.

    Returns:
        The preset, or None.

    Raises:
        DataError: If several packs bring it.
    """
    brought = [preset for preset in _brought()[0] if preset.name == name]
    if len(brought) > 1:
        raise DataError(_clash(brought))
    return brought[0] if brought else None


def listed(taken: set[str]) -> tuple[list[presets.Preset], list[str]]:
    """Lists what packs bring.

    Args:
        taken: Names of bundled presets, which no pack can have.

    Returns:
        Tuple of the presets that can be used by their names, sorted, and of a line for
        each thing that is wrong with a pack.
    """
    brought, faults = _brought()
    by_name: dict[str, list[presets.Preset]] = {}
    for preset in brought:
        by_name.setdefault(preset.name, []).append(preset)
    usable = []
    for name, found in sorted(by_name.items()):
        if name in taken:
            origins = " and ".join(preset.origin for preset in found)
            faults.append(f"{name}: kcolor's own; that of {origins} is left out")
        elif len(found) > 1:
            faults.append(_clash(found))
        else:
            usable += found
    return usable, faults


def _clash(found):
    origins = " and ".join(preset.origin for preset in found)
    return (
        f"{found[0].name}: {origins} bring a preset of this name; uninstall one, or "
        f"give a path such as {found[0].folder / found[0].name}.tflite"
    )


def _brought() -> tuple[list[presets.Preset], list[str]]:
    found, faults = [], []
    for point in sorted(entry_points(group=GROUP)):
        origin = point.name
        if point.dist is not None:
            origin = f"{point.dist.name} {point.dist.version}"
        try:
            held = presets.in_folder(_folder(point), origin)
        except (ImportError, ValueError, OSError) as error:
            faults.append(f"{origin}: its presets cannot be found ({error})")
            continue
        if not held:
            faults.append(f"{origin}: holds no preset (no card NAME.json)")
        found += held
    return found, faults


def _folder(point: EntryPoint) -> Path:
    # Of the first part alone: to find a part of a package Python imports the package.
    top, *rest = point.value.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"no package {top!r} is installed")
    folder = Path(spec.submodule_search_locations[0], *rest)
    if not folder.is_dir():
        raise ImportError(f"no folder {folder}")
    return folder
