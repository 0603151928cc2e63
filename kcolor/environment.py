"""What a figure depends on besides its arguments."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_VERSIONED = ("kcolor", "keras", "tensorflow", "jax", "torch", "numpy")


def environment() -> dict[str, Any]:
    """Returns what a figure depends on besides its arguments.

    Returns:
        Dict of `versions`, package to version or None, and `commit`: kcolor's own, or
        None where it runs from an installed copy.
    """
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _VERSIONED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {"versions": versions, "commit": _commit(Path(__file__).resolve().parent)}


def _commit(package):
    command = ["git", "-C", str(package), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    root, commit = done.stdout.split("\n")[:2]
    # An environment inside a repository, as `project/.venv`, is found as well; its
    # commit says nothing about kcolor.
    return commit if Path(root) == package.parent else None
