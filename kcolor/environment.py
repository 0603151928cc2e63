"""What a figure depends on besides its arguments."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_VERSIONED = ("kcolor", "keras", "tensorflow", "jax", "torch", "numpy")


def environment():
    """Returns what a figure depends on besides its arguments: versions and commit."""
    versions = {"python": platform.python_version()}
    for package in _VERSIONED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    try:
        commit = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None  # installed from a wheel
    return {"versions": versions, "commit": commit}
