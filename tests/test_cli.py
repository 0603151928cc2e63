"""Tests for the command line as a whole: defaults, exit codes, one clear line."""

import inspect

import pytest
from click.testing import CliRunner

from kcolor.cli import main


def test_every_default_of_fit_is_the_functions_own():
    from kcolor.training import fit

    parameters = inspect.signature(fit).parameters
    given = main.commands["fit"].make_context("fit", ["unet", "-o", "run"]).params
    assert set(given) == set(parameters)
    for name, parameter in parameters.items():
        if name not in ("system", "run"):
            assert given[name] == parameter.default, name


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["fit", "unet", "-o", "RUN", "--data", "nowhere"], "nowhere: no such file"),
        (["fit", "unet", "-o", "RUN", "--size", "50"], "multiple of 32. Received: 50"),
        (["fit", "unet", "-o", "RUN", "--resume"], "not a run folder"),
        (
            ["fit", "unet", "-o", "RUN", "--backbone-weights", "none.safetensors"],
            "none.safetensors: No such file",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_1(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    (line,) = [x for x in result.stderr.splitlines() if x.startswith("Error: ")]
    assert message in line


@pytest.mark.parametrize(
    "arguments", [["fit"], ["fit", "vgg", "-o", "x"], ["paint"], ["fit", "unet"]]
)
def test_wrong_usage_is_exit_2(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_a_missing_extra_names_the_install(monkeypatch, tmp_path):
    import builtins
    import sys

    real = builtins.__import__

    def without_tensorflow(name, *args, **kwargs):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        return real(name, *args, **kwargs)

    for name in [m for m in sys.modules if m.startswith("kcolor.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_tensorflow)
    result = CliRunner().invoke(main, ["fit", "unet", "-o", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "pip install 'kcolor[train]'" in result.stderr


def test_ctrl_c_is_exit_130(monkeypatch):
    @main.command("interrupted")
    def interrupted():
        raise KeyboardInterrupt

    try:
        assert CliRunner().invoke(main, ["interrupted"]).exit_code == 130
    finally:
        del main.commands["interrupted"]
