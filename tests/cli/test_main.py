"""Tests for the command line as a whole: defaults, exit codes, one clear line."""

import inspect
import json

import pytest
import skimage
from click.testing import CliRunner
from PIL import Image

from kcolor.cli.main import main


def test_every_default_of_fit_is_the_functions_own():
    from kcolor.training.fit import fit

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


def test_data_check_reports_and_writes_its_findings(tmp_path):
    for name in ("one/a.png", "one/b.png", "two/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(skimage.data.coffee()[::3, ::3]).save(tmp_path / name)
    (tmp_path / "one" / "broken.jpg").write_text("no picture")
    file = tmp_path / "findings.json"
    result = CliRunner().invoke(
        main,
        ["data", "check", str(tmp_path / "one"), "--against", str(tmp_path / "two")]
        + ["--json", str(file)],
    )
    assert result.exit_code == 0, result.output
    assert "broken.jpg: not a readable picture" in result.stdout
    assert "a.png = b.png" in result.stdout
    findings = json.loads(file.read_text())
    assert findings["exact_duplicates"] == [["a.png", "b.png"]]
    assert findings["leakage"]["near"] == [
        {"source": ["a.png", "b.png"], "against": ["c.jpg"]}
    ]


def test_data_preview_draws_a_sheet(tmp_path):
    Image.fromarray(skimage.data.coffee()).save(tmp_path / "a.png")
    file = tmp_path / "sheet.png"
    arguments = ["data", "preview", str(tmp_path), "-o", str(file)]
    result = CliRunner().invoke(main, [*arguments, "--size", "64", "--count", "2"])
    assert result.exit_code == 0, result.output
    with Image.open(file) as sheet:
        assert sheet.size == (2 * 64, 20 + 2 * 64)
    file.unlink()
    (tmp_path / "a.png").write_text("no picture")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1 and "a.png: not a readable" in result.stderr
    assert not file.exists()
    result = CliRunner().invoke(main, [*arguments[:-1], str(tmp_path / "sheet.txt")])
    assert result.exit_code == 1 and "sheet.txt: not the name" in result.stderr


def test_every_default_of_preview_is_the_functions_own():
    from kcolor.data.preview import preview

    command = main.commands["data"].commands["preview"]
    given = command.make_context("preview", ["photos", "-o", "a.png"]).params
    for name, parameter in inspect.signature(preview).parameters.items():
        if name != "data":
            assert given[name] == parameter.default, name
