"""Tests for the layout: who may import whom, and that public functions say types."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kcolor

ROOT = Path(kcolor.__file__).parent
# What each room may import from kcolor, beside itself. Leaves first.
_LEAVES = {"errors", "files", "parallel", "progress", "environment", "process"}
_BASE = _LEAVES | {"color", "images", "presets", "remote"}
ALLOWED = {
    **dict.fromkeys(("errors", "environment", "process"), {"errors"}),
    **dict.fromkeys(("files", "parallel", "progress"), {"errors"}),
    "color": set(),
    "images": _LEAVES | {"color"},
    "presets": _LEAVES,
    "remote": _LEAVES | {"images"},
    "models": _BASE,
    "losses": {"color"},
    "metrics": {"color", "errors", "files", "models"},
    "data": _BASE,
    "runtimes": _BASE | {"models"},
    "inference": _BASE | {"runtimes"},
    "training": _BASE | {"data", "losses", "metrics", "models", "runtimes"},
    "evaluation": _BASE | {"data", "inference", "metrics", "models", "runtimes"},
    "export": _BASE
    | {"benchmark", "data", "evaluation", "metrics", "models", "runtimes"},
    "benchmark": _BASE | {"data", "runtimes"},
    "serve": _BASE | {"export", "inference", "runtimes"},
    "cli": None,  # everything
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
    if ALLOWED[part] is None:
        return
    allowed = ALLOWED[part] | {part}
    for path in files(part):
        for module in imported(path):
            top, _, rest = module.partition(".")
            if top == "kcolor" and rest:
                assert rest.split(".")[0] in allowed, f"{path.name} imports {module}"


def test_every_room_has_its_arrows():
    rooms = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or p.is_dir()}
    rooms -= {"__init__", "__main__", "__pycache__"}
    assert rooms == set(ALLOWED)


def public_functions(body, prefix=""):
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            if not node.name.startswith("_") or node.name in ("__init__", "__call__"):
                yield prefix + node.name, node


def lacks_types(function, is_method):
    parts = function.args
    named = [*parts.posonlyargs, *parts.args]
    static = any(
        getattr(d, "id", "") == "staticmethod" for d in function.decorator_list
    )
    if is_method and not static:
        named = named[1:]
    rest = [part for part in (parts.vararg, parts.kwarg) if part]
    untyped = [a for a in (*named, *parts.kwonlyargs, *rest) if a.annotation is None]
    return bool(untyped) or function.returns is None


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_public_functions_say_their_types(part):
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files(part)
        for name, function in public_functions(ast.parse(path.read_text()).body)
        if lacks_types(function, "." in name)
    ]
    assert not found


@pytest.mark.parametrize("part", ["color", "models", "losses", "metrics"])
def test_backend_neutral_parts_never_name_a_backend(part):
    for path in files(part):
        found = {module.split(".")[0] for module in imported(path)}
        assert not found & {"tensorflow", "jax", "torch"}, path.name


def test_the_command_line_starts_without_anything_heavy():
    heavy = "('tensorflow', 'keras', 'torch', 'jax', 'numpy', 'cv2', 'PIL', 'rich')"
    code = (
        f"import sys, kcolor.cli.main; print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
