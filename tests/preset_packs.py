"""Packs of presets: as a folder that an install would leave, or as a wheel for pip."""

import hashlib
import json
import zipfile
from pathlib import Path


def card_of(*files):
    """Returns the least that a card must say of a preset's files."""
    card = {"license": "CC0-1.0", "data": "random numbers"}
    for path in map(Path, files):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        card |= (
            {"sha256": digest}
            if path.suffix == ".tflite"
            else {"keras": {"sha256": digest}}
        )
    return card


def install_pack(site, name, presets, package=None, entry=None):
    """Lays a pack into a folder of packages; returns the folder of its presets.

    Args:
        site: The folder, which must be on `sys.path`.
        name: The distribution's.
        presets: Dict of preset to list of files; a card is made for each.
        package: Name of the Python package; None: the distribution's.
        entry: Value of the entry point; None: the package.
    """
    package = package or name.replace("-", "_")
    folder = Path(site, *(entry or package).split("."))
    folder.mkdir(parents=True)
    # kcolor must never run it.
    Path(site, package, "__init__.py").write_text("raise RuntimeError('imported')\n")
    for preset, files in presets.items():
        for path in files:
            (folder / f"{preset}{path.suffix}").write_bytes(path.read_bytes())
        (folder / f"{preset}.json").write_text(json.dumps(card_of(*files)))
    for member, text in _metadata(name, entry or package).items():
        path = Path(site, member)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def write_wheel(folder, name, presets):
    """Writes a pack as a wheel; returns its path. `presets` as for `install_pack`."""
    package = name.replace("-", "_")
    path = Path(folder, f"{package}-1.0-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{package}/__init__.py", "")
        for preset, files in presets.items():
            for file in files:
                wheel.write(file, f"{package}/{preset}{file.suffix}")
            wheel.writestr(f"{package}/{preset}.json", json.dumps(card_of(*files)))
        members = _metadata(name, package)
        members |= {
            f"{package}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\n"
            "Root-Is-Purelib: true\nTag: py3-none-any\n",
            f"{package}-1.0.dist-info/RECORD": "",
        }
        for member, text in members.items():
            wheel.writestr(member, text)
    return path


def _metadata(name, entry):
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/entry_points.txt": f"[kcolor.presets]\n{name} = {entry}\n",
    }
