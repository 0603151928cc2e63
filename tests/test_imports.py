"""Tests for the arrows of the layout: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kcolor

ROOT = Path(kcolor.__file__).parent
# What each part may import from kcolor, beside itself and kcolor.errors.
ALLOWED = {
    "color": set(),
    "preprocessing": {"color"},
    "models": {"preprocessing"},
    "losses": {"color", "preprocessing"},
    "allocator": set(),
    "fused": set(),
    "optimizers": set(),
    "sheets": set(),
    "metrics": {"color", "models"},
    "evaluation": {"allocator", "data", "metrics", "preprocessing", "runs"},
    "report": {"evaluation", "runs"},
    "data": {"color", "preprocessing", "sheets"},
    "runs": {"models", "preprocessing", "presets"},
    "inference": {"presets"},
    "presets": set(),
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def files(part):
    module = ROOT / f"{part}.py"
    return [module] if module.exists() else sorted((ROOT / part).rglob("*.py"))


@pytest.mark.parametrize("part", ALLOWED)
def test_arrows_point_one_way(part):
    allowed = ALLOWED[part] | {part, "errors"}
    for path in files(part):
        for module in imported(path):
            top, _, rest = module.partition(".")
            if top == "kcolor" and rest:
                assert rest.split(".")[0] in allowed, f"{path.name} imports {module}"


@pytest.mark.parametrize("part", ["color", "preprocessing", "models", "losses"])
def test_backend_neutral_parts_never_name_a_backend(part):
    for path in files(part):
        if path.name == "pix2pix.py":
            continue  # a custom train step is written per backend, inside its method
        found = {module.split(".")[0] for module in imported(path)}
        assert not found & {"tensorflow", "jax", "torch"}, path.name


def test_the_command_line_starts_without_anything_heavy():
    heavy = "('tensorflow', 'keras', 'torch', 'jax', 'numpy', 'cv2', 'PIL', 'rich')"
    code = f"import sys, kcolor.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
