"""Tests for the command line as a whole: defaults, exit codes, one clear line."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import skimage
from click.testing import CliRunner
from PIL import Image

from kcolor.cli.main import main


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["fit", "unet", "-o", "RUN", "--data", "nowhere"], "nowhere: no such file"),
        (["fit", "unet", "-o", "RUN", "--size", "50"], "multiple of 32. Received: 50"),
        (["fit", "unet", "-o", "RUN", "--resume"], "not a run folder"),
        (
            ["fit", "unet", "-o", "RUN", "--backbone-weights", "none.safetensors"],
            "none.safetensors: no such file",
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
    "arguments",
    [
        ["fit"],
        ["fit", "vgg", "-o", "x"],
        ["paint"],
        ["fit", "unet"],
        ["fit", "unet", "-o", "x", "--coordinator", "10.0.0.1:1234"],
        ["fit", "unet", "-o", "x", "--processes", "2", "--process-id", "0"],
    ],
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


@pytest.mark.parametrize(
    "module, extra",
    [("jinja2", "train"), ("safetensors", "train"), ("onnx", "export")],
)
def test_every_missing_module_names_its_extra(module, extra):
    @main.command("needy")
    def needy():
        raise ModuleNotFoundError(f"No module named {module!r}", name=f"{module}.part")

    try:
        result = CliRunner().invoke(main, ["needy"])
    finally:
        del main.commands["needy"]
    assert result.exit_code == 1
    assert f"pip install 'kcolor[{extra}]'" in result.stderr


@pytest.mark.parametrize("error", [KeyError("ours"), AttributeError("ours")])
def test_a_fault_of_our_own_keeps_its_traceback(error):
    @main.command("broken")
    def broken():
        raise error

    try:
        result = CliRunner().invoke(main, ["broken"])
    finally:
        del main.commands["broken"]
    assert result.exit_code == 1 and result.exception is error


def test_help_is_there_at_once():
    # Processor time, which does not suffer from what else the machine does.
    started = os.times()
    for _ in range(3):
        command = [sys.executable, "-m", "kcolor", "--help"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ended = os.times()
    spent = ended.children_user - started.children_user
    spent += ended.children_system - started.children_system
    assert spent / 3 < 0.3


def _completions(*words):
    # What bash is told when a person presses the tabulator.
    environment = os.environ | {
        "_KCOLOR_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["kcolor", *words]),
        "COMP_CWORD": str(len(words)),
    }
    code = "from kcolor.cli.main import main; main(prog_name='kcolor')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "words", [("colorize", "a.jpg", "--model"), ("models",), ("evaluate",)]
)
def test_the_shell_completes_presets_where_a_model_is_asked_for(words):
    assert _completions(*words, "mob") == ["plain,mobile", "plain,mobile-int8"]
    assert _completions(*words, "./my") == ["file,./my"]


def test_the_shell_completes_commands_and_options():
    assert _completions("col") == ["plain,colorize"]
    assert _completions("colorize", "--skip") == ["plain,--skip-existing"]


def test_man_pages_of_all_commands_can_be_made(tmp_path):
    script = Path(__file__).parents[2] / "scripts" / "make_man_pages"
    subprocess.run([sys.executable, str(script), str(tmp_path / "man")], check=True)
    made = {path.stem for path in (tmp_path / "man").glob("*.1")}
    assert made == {"kcolor", "kcolor-data-check", "kcolor-data-preview"} | {
        f"kcolor-{name}" for name in main.commands
    }
    page = (tmp_path / "man" / "kcolor-colorize.1").read_text()
    assert page.startswith('.TH "KCOLOR-COLORIZE" 1')
    assert "\\fB\\-\\-skip\\-existing\\fR\nLeave results that are there." in page
    examples = page.split(".nf\n")[1].split(".fi\n")[0]
    assert "kcolor colorize \\- < in.jpg > out.jpg" in examples.splitlines()


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


@pytest.mark.parametrize(
    "command",
    [
        ["benchmark", "mobile"],
        ["data", "check", "."],
        ["evaluate", "mobile", "--data", "."],
        ["export", "mobile", "-o", "net.tflite"],
    ],
)
def test_a_file_that_cannot_be_written_is_named_before_the_work(command, tmp_path):
    result = CliRunner().invoke(main, [*command, "--json", f"{tmp_path}/none/f.json"])
    assert result.exit_code == 1
    assert "f.json: cannot be written; there is no folder" in result.output


def test_a_sheet_never_takes_a_photograph_s_place(tmp_path):
    photo = tmp_path / "a.png"
    photo.write_bytes(b"a photograph")
    arguments = ["data", "preview", str(tmp_path), "-o", str(photo)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1 and "among the photographs" in result.output
    assert photo.read_bytes() == b"a photograph"


@pytest.mark.parametrize(
    "name, value",
    [
        ("size", "0"),
        ("crop_min", "2"),
        ("degrade", "5"),
        ("whole_share", "-1"),
    ],
)
def test_a_sheet_is_of_what_fit_would_take(name, value, tmp_path):
    Image.fromarray(skimage.data.coffee()).save(tmp_path / "a.png")
    arguments = ["data", "preview", str(tmp_path), "-o", f"{tmp_path}/sheet.png"]
    option = f"--{name.replace('_', '-')}"
    result = CliRunner().invoke(main, [*arguments, option, value])
    assert result.exit_code == 1 and name in result.stderr
    assert not (tmp_path / "sheet.png").exists()
