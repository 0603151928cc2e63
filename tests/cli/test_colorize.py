"""`kcolor colorize` and `kcolor models` as a person uses them."""

import hashlib
import io
import json
import os
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from kcolor.cli.main import main
from kcolor.color import host as merge


def _photo(seed=0, height=75, width=118, channels=3):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (6, 9)).astype("uint8")
    gray = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.repeat(gray[..., None], 3, axis=2) if channels == 3 else gray


def _save(path, seed=0, **size):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), _photo(seed, **size))
    return path


def _run(*arguments, model=None, **options):
    arguments = ["colorize", *map(str, arguments)]
    if model is not None:
        arguments += ["--model", str(model)]
    return CliRunner().invoke(main, arguments, **options)


def test_a_photograph_comes_out_in_color_at_its_own_size(tmp_path, any_size_tflite):
    source = _save(tmp_path / "old.png")
    result = _run(source, "-o", tmp_path / "new.png", model=any_size_tflite)
    assert result.exit_code == 0, result.output
    before, after = cv2.imread(str(source)), cv2.imread(str(tmp_path / "new.png"))
    assert after.shape == before.shape
    assert np.ptp(after.astype(int), axis=2).mean() > 5
    error = 50 * np.abs(
        merge.lightness(after[..., ::-1].copy()) - merge.lightness(before)
    )
    assert error.mean() < 0.5


def test_without_output_the_result_lies_beside_the_input(tmp_path, any_size_tflite):
    source = _save(tmp_path / "old.jpg")
    result = _run(source, model=any_size_tflite)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "old-color.jpg",
        "old.jpg",
    ]
    assert result.stdout.strip() == str(tmp_path / "old-color.jpg")


def test_a_folder_keeps_its_tree(tmp_path, any_size_tflite):
    for number, name in enumerate(["a.jpg", "deep/er/b.png", "deep/c.tif"]):
        _save(tmp_path / "in" / name, seed=number)
    (tmp_path / "in" / "notes.txt").write_text("no photograph")
    result = _run(tmp_path / "in", "-o", tmp_path / "out", model=any_size_tflite)
    assert result.exit_code == 0, result.output
    found = [str(p.relative_to(tmp_path / "out")) for p in tmp_path.rglob("out/**/*.*")]
    assert sorted(found) == ["a.jpg", "deep/c.tif", "deep/er/b.png"]


def test_one_bad_file_is_named_and_does_not_stop_the_rest(tmp_path, any_size_tflite):
    for number in range(3):
        _save(tmp_path / "in" / f"{number}.jpg", seed=number)
    (tmp_path / "in" / "1.jpg").write_bytes(b"no picture")
    result = _run(tmp_path / "in", "-o", tmp_path / "out", model=any_size_tflite)
    assert result.exit_code == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["0.jpg", "2.jpg"]
    errors = [line for line in result.output.splitlines() if "Error" in line]
    assert len(errors) == 1 and "1.jpg" in errors[0]


def test_existing_results_are_kept_skipped_or_replaced(tmp_path, any_size_tflite):
    source, target = _save(tmp_path / "a.png"), tmp_path / "b.png"
    target.write_bytes(b"mine")
    refused = _run(source, "-o", target, model=any_size_tflite)
    assert refused.exit_code == 1 and "--overwrite" in refused.output
    skipped = _run(source, "-o", target, "--skip-existing", model=any_size_tflite)
    assert skipped.exit_code == 0 and target.read_bytes() == b"mine"
    replaced = _run(source, "-o", target, "--overwrite", model=any_size_tflite)
    assert replaced.exit_code == 0 and target.read_bytes() != b"mine"
    both = _run(source, "-o", target, "--overwrite", "--skip-existing")
    assert both.exit_code == 2


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_twin_that_comes_later_is_not_said_to_be_there(
    tmp_path, any_size_tflite, monkeypatch, engine
):
    from kcolor.inference import ray, runner

    # The machines get names alone, as they do of Ray.
    def alone(jobs, *arguments):
        assert not any(job.fault for job in jobs)
        return runner.colorize_all(jobs, *arguments)

    monkeypatch.setattr(ray, "colorize_all", alone)
    album, out = tmp_path / "a", tmp_path / "out"
    older = _save(album / "1.png", seed=1)
    arguments = [album, "-o", out, "--format", "jpg", "--skip-existing"]
    arguments += ["--log", tmp_path / "log", "--engine", engine]
    assert _run(*arguments, model=any_size_tflite).exit_code == 0
    before = (out / "1.jpg").read_bytes()
    os.utime(out / "1.jpg", ns=(0, 10**18))
    newer = _save(album / "1.jpg", seed=2)
    for _ in range(2):
        again = _run(*arguments, model=any_size_tflite)
        assert again.exit_code == 1
        summary = again.stderr.splitlines()[0]
        assert summary.startswith("0 written")
        assert summary.endswith(", 1 already there, 1 failed:")
        assert f"{newer}: not colorized" in again.stderr and str(older) in again.stderr
        assert os.listdir(out) == ["1.jpg"]
        assert (out / "1.jpg").read_bytes() == before
    rows = {row["input"]: row["status"] for row in _log(tmp_path / "log")}
    assert rows == {str(older): "skipped", str(newer): "failed"}
    (out / "1.jpg").unlink()
    assert _run(*arguments, model=any_size_tflite).exit_code == 0
    assert sorted(os.listdir(out)) == ["1.jpg", "1.png.jpg"]
    assert (out / "1.png.jpg").read_bytes() == before


@pytest.mark.parametrize("output", ["-", "s3://bucket/out", "memory://out", "FILE"])
def test_a_watch_that_could_write_nothing_does_not_begin(tmp_path, output, monkeypatch):
    from kcolor.cli import watch

    def begin(*arguments):
        raise AssertionError("began")

    monkeypatch.setattr(watch, "watch_folder", begin)
    monkeypatch.chdir(tmp_path)
    _save(tmp_path / "in" / "a.png")
    (tmp_path / "FILE").write_bytes(b"x")
    result = _run("in", "--watch", "-o", output)
    assert result.exit_code == 2
    assert "--watch writes into a folder" in result.stderr
    assert sorted(os.listdir(tmp_path)) == ["FILE", "in"]


def test_the_summary_tells_what_was_skipped_and_not_what_was_replaced(
    tmp_path, any_size_tflite
):
    for number in range(2):
        _save(tmp_path / "in" / f"{number}.png", seed=number)
    arguments = (tmp_path / "in", "-o", tmp_path / "out")
    assert _run(*arguments, model=any_size_tflite).exit_code == 0
    (tmp_path / "out" / "1.png").unlink()
    skipped = _run(*arguments, "--skip-existing", model=any_size_tflite)
    assert skipped.stderr.startswith("1 written in ")
    assert skipped.stderr.endswith(", 1 already there\n")
    replaced = _run(*arguments, "--overwrite", model=any_size_tflite)
    assert replaced.stderr.startswith("2 written in ")
    assert "already there" not in replaced.stderr
    nothing = _run(*arguments, "--skip-existing", model=any_size_tflite)
    assert nothing.stderr == "0 written, 2 already there\n"


def test_a_name_and_a_format_that_disagree_are_one_line(tmp_path, any_size_tflite):
    source, target = _save(tmp_path / "a.png"), tmp_path / "b.png"
    result = _run(source, "-o", target, "--format", "jpg", model=any_size_tflite)
    assert result.exit_code == 1 and not target.exists()
    (line,) = result.output.splitlines()
    assert "b.png: the name says PNG, --format says JPEG" in line


def _refusing(*_):
    raise RuntimeError("Unsupported feature: Unsupported codec (4.3000)")


@pytest.mark.parametrize(
    "reader", [None, types.SimpleNamespace(HeifImageFile=_refusing)]
)
def test_one_heic_does_not_stop_an_album(
    tmp_path, any_size_tflite, monkeypatch, reader
):
    # Without pillow-heif, and with what it says of a codec that it was not built with.
    monkeypatch.setitem(sys.modules, "pillow_heif", reader)
    for number in range(3):
        _save(tmp_path / "in" / f"{number}.jpg", seed=number)
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)
    (tmp_path / "in" / "1b.heic").write_bytes(heic)
    result = _run(tmp_path / "in", "-o", tmp_path / "out", model=any_size_tflite)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert sorted(os.listdir(tmp_path / "out")) == ["0.jpg", "1.jpg", "2.jpg"]
    (line,) = [line for line in result.stderr.splitlines() if "Error" in line]
    assert "1b.heic: " in line


def test_debug_shows_where_an_error_comes_from(tmp_path, any_size_tflite):
    (tmp_path / "in").mkdir()
    bad = tmp_path / "in" / "a.jpg"
    bad.write_bytes(b"no picture")
    arguments = ["colorize", "--model", str(any_size_tflite), "--format", "jpg"]
    arguments += ["--overwrite", "-o", str(tmp_path / "out")]
    _save(tmp_path / "in" / "b.jpg")
    for source in (bad, tmp_path / "in"):  # alone, and one of an album
        command = [sys.executable, "-m", "kcolor", "--debug", *arguments, str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert "Traceback" in done.stderr and "decode.py" in done.stderr
        assert "a.jpg: not a " in done.stderr
        plain = CliRunner().invoke(main, [*arguments, str(source)])
        assert plain.exit_code == 1 and "Traceback" not in plain.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("out", [["-o", "-"], []])
def test_a_closed_pipe_is_nothing_to_complain_of(tmp_path, any_size_tflite, out):
    source = _save(tmp_path / "a.png", height=600, width=800)
    command = [sys.executable, "-m", "kcolor", "colorize", str(source), *out]
    command += ["--model", str(any_size_tflite)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 1 and done.stderr == b""


def test_an_input_is_never_overwritten(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png")
    data = source.read_bytes()
    for out in (source, tmp_path):
        result = _run(source, "-o", out, "--overwrite", model=any_size_tflite)
        assert result.exit_code == 1 and "overwrite an input" in result.output
    assert source.read_bytes() == data


def test_two_results_never_share_a_name(tmp_path, any_size_tflite):
    for name in ("in/a.png", "in/a.bmp"):
        _save(tmp_path / name)
    out = tmp_path / "out"
    arguments = (tmp_path / "in", "-o", out, "--format", "jpg")
    assert _run(*arguments, model=any_size_tflite).exit_code == 0
    assert {path.name for path in out.iterdir()} == {"a.png.jpg", "a.bmp.jpg"}


def test_no_result_leaves_the_output_folder(tmp_path, any_size_tflite):
    _save(tmp_path / "in" / "sub" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    result = _run(tmp_path / "in", "-o", tmp_path / "out", model=any_size_tflite)
    assert result.exit_code == 1 and "leads out of" in result.output
    assert not list((tmp_path / "elsewhere").iterdir())


def test_results_inside_the_input_folder_are_no_input(tmp_path, any_size_tflite):
    _save(tmp_path / "a.png")
    for _ in range(2):
        result = _run(
            tmp_path, "-o", tmp_path / "out", "--overwrite", model=any_size_tflite
        )
        assert result.exit_code == 0, result.output
    assert [p.name for p in tmp_path.rglob("*.png")] == ["a.png", "a.png"]


def _unreadable(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 no more than this")
    return path


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda folder: folder / "missing.jpg", "missing.jpg: no such file"),
        (_unreadable, "a.jpg: damaged"),
        (lambda folder: folder, "no photographs or films in this folder"),
    ],
    ids=["missing", "damaged", "empty folder"],
)
def test_what_cannot_be_read_is_one_line_and_no_file(
    tmp_path, any_size_tflite, make, says
):
    out = tmp_path / "result.jpg"
    result = _run(make(tmp_path), "-o", out, model=any_size_tflite)
    assert result.exit_code == 1
    assert says in result.output and len(result.output.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "model, says",
    [
        ("nonesuch", "no such model"),
        ("no/such.tflite", "no such file"),
        ("garbage.tflite", "not a TFLite file"),
        ("run.keras", "not a readable Keras model"),
    ],
)
def test_a_model_that_will_not_do_is_one_line(tmp_path, monkeypatch, model, says):
    monkeypatch.chdir(tmp_path)
    source = _save(tmp_path / "a.png")
    (tmp_path / "garbage.tflite").write_bytes(b"garbage" * 9)
    (tmp_path / "run.keras").write_bytes(b"")
    result = _run(source, "-o", "out.png", model=model)
    assert result.exit_code == 1 and says in result.output
    assert len(result.output.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write")
def test_a_read_only_output_is_one_line(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png")
    (tmp_path / "locked").mkdir(mode=0o555)
    result = _run(source, "-o", tmp_path / "locked" / "b.png", model=any_size_tflite)
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1


def test_an_output_that_is_no_folder_is_one_line(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    result = _run(source, "-o", tmp_path / "file" / "b.png", model=any_size_tflite)
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1


def test_standard_input_to_standard_output(tmp_path, any_size_tflite):
    data = _save(tmp_path / "a.png").read_bytes()
    result = _run("-", "-o", "-", model=any_size_tflite, input=io.BytesIO(data))
    assert result.exit_code == 0
    found = cv2.imdecode(np.frombuffer(result.stdout_bytes, "uint8"), 1)
    assert found.shape == _photo().shape
    assert np.ptp(found.astype(int), axis=2).mean() > 5


def test_compare_writes_before_and_after(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png")
    result = _run(source, "-o", tmp_path / "b.png", "--compare", model=any_size_tflite)
    assert result.exit_code == 0, result.output
    pair = cv2.imread(str(tmp_path / "b.png"))
    np.testing.assert_array_equal(pair[:, :118], cv2.imread(str(source)))
    assert pair.shape == (75, 236, 3)
    assert np.ptp(pair[:, 118:].astype(int), axis=2).mean() > 5


@pytest.mark.parametrize(
    "arguments",
    [["--saturation", "-1"], ["--blend", "2"], ["--format", "xyz"], ["--jobs", "0"]],
)
def test_wrong_usage_is_exit_2(tmp_path, arguments):
    result = _run(_save(tmp_path / "a.png"), *arguments)
    assert result.exit_code == 2
    assert _run().exit_code == 2


def test_a_picture_over_the_limit_is_refused(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png")
    result = _run(source, "--max-megapixels", "0.005", model=any_size_tflite)
    assert result.exit_code == 1 and "--max-megapixels" in result.output


def test_the_light_path_loads_nothing_heavy(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.jpg")
    script = (
        "import sys; from kcolor.cli.main import main\n"
        f"main(['colorize', {str(source)!r}, '--model', {str(any_size_tflite)!r}],"
        " standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'jax', 'skimage', 'matplotlib',"
        " 'rich', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    # The delegate's chatter is held back too.
    assert done.stderr == ""


def test_help_shows_examples_line_by_line():
    lines = CliRunner().invoke(main, ["colorize", "--help"]).output.splitlines()
    assert "  kcolor colorize - < in.jpg > out.jpg" in lines


def test_every_control_reaches_the_picture(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png", height=300, width=400)
    found = {}
    for number, options in enumerate(
        [
            [],
            ["--saturation", "0.5"],
            ["--blend", "0.5"],
            ["--upsampling", "bilinear"],
            ["--render-size", "512"],
            ["--jobs", "1"],
        ]
    ):
        target = tmp_path / f"{number}.png"
        result = _run(source, "-o", target, *options, model=any_size_tflite)
        assert result.exit_code == 0, result.output
        found[" ".join(options)] = target.read_bytes()
    assert found.pop("--jobs 1") == found[""]
    assert len(set(found.values())) == 5


def test_quality_changes_the_size(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.jpg", height=300, width=400)
    sizes = []
    for quality in (50, 80, 95):
        target = tmp_path / f"{quality}.jpg"
        _run(source, "-o", target, "--quality", quality, model=any_size_tflite)
        sizes.append(target.stat().st_size)
    assert sizes == sorted(set(sizes))
    default = tmp_path / "default.jpg"
    _run(source, "-o", default, model=any_size_tflite)
    assert default.stat().st_size == sizes[-1]


def test_function_and_command_agree_on_defaults():
    import inspect

    from kcolor.inference.colorizer import Colorizer

    ours = inspect.signature(Colorizer.__init__).parameters
    command = main.commands["colorize"]
    context = command.make_context("colorize", ["photo.jpg"])
    shared = ours.keys() & context.params.keys()
    assert len(shared) == 5
    for name in shared:
        assert context.params[name] == ours[name].default, name


def test_the_limit_and_the_ways_up_are_the_functions_own():
    from kcolor.images.decode import MAX_MEGAPIXELS
    from kcolor.inference.colorizer import UPSAMPLINGS

    command = main.commands["colorize"]
    context = command.make_context("colorize", ["photo.jpg"])
    assert context.params["max_megapixels"] == MAX_MEGAPIXELS
    (choice,) = [p.type for p in command.params if p.name == "upsampling"]
    assert tuple(choice.choices) == UPSAMPLINGS


def test_models_lists_the_presets():
    from kcolor import presets

    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0
    table, _, legend = result.output.partition("\nms: ")
    table = table.splitlines()
    found, faults = presets.listed()
    assert len(table) == 2 + len(found) and not faults
    assert "one thread of" in legend
    assert "test pictures" in " ".join(legend.split())
    assert max(map(len, legend.splitlines())) < 100
    rows = {line.split()[0]: line.split() for line in table}
    for preset in found:
        origin, megabytes, milliseconds, *figures = rows[preset.name][1:]
        assert origin == "kcolor" and preset.is_bundled
        assert float(milliseconds) > 0
        assert len(figures) == 5
        content = preset.to_run().read_bytes()
        assert hashlib.sha256(content).hexdigest() == preset.card()["sha256"]
        assert float(megabytes) == pytest.approx(len(content) / 1e6, abs=0.06)
    assert "mobile" in rows


def test_models_shows_a_card_as_text():
    from kcolor import presets

    card = presets.find("mobile").card()
    result = CliRunner().invoke(main, ["models", "mobile"])
    assert result.exit_code == 0, result.output
    assert card["license"] in " ".join(result.output.split())
    assert max(map(len, result.output.splitlines())) < 100
    assert not set("{}[]") & set(result.output)
    unknown = CliRunner().invoke(main, ["models", "nonesuch"])
    assert unknown.exit_code == 1 and "mobile, mobile-int8" in unknown.stderr


def _color_at(path, x, y):
    return cv2.imread(str(path))[y, x, ::-1].astype(int)


def test_hints_by_option_and_by_file_put_a_color_right(tmp_path, any_size_tflite):
    source = tmp_path / "old.png"
    cv2.imwrite(str(source), np.full((75, 118, 3), 120, "uint8"))
    file = tmp_path / "hints.json"
    file.write_text('{"hints": [{"x": "75%", "y": 40, "color": "#4a6fa0"}]}')
    out = tmp_path / "new.png"
    result = _run(
        *(source, "-o", out, "--hint", "20,30,#a05f4a", "--hints", file),
        model=any_size_tflite,
    )
    assert result.exit_code == 0, result.output
    red, _, blue = _color_at(out, 20, 30)
    assert red > blue + 40
    red, _, blue = _color_at(out, 88, 40)
    assert blue > red + 40


def test_hints_belong_to_one_photograph(tmp_path, any_size_tflite):
    for number in range(2):
        _save(tmp_path / "in" / f"{number}.jpg", seed=number)
    hint = ("--hint", "20,30,#a05f4a")
    result = _run(tmp_path / "in", *hint, model=any_size_tflite)
    assert result.exit_code == 2 and not (tmp_path / "in-color").exists()
    assert "belong to one photograph or film; there are 2" in result.output
    (tmp_path / "in" / "1.jpg").unlink()
    assert _run(tmp_path / "in", *hint, model=any_size_tflite).exit_code == 0


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--hint", "20,30", "a hint must be X,Y,#RRGGBB"),
        ("--hint", "20,30,red", "color must be #RRGGBB. Received: 'red'"),
        ("--hint", "118,30,#a05f4a", "118x75. Received: x=118"),
        ("--hints", "none.json", "none.json: No such file"),
    ],
)
def test_a_wrong_hint_is_one_line_and_writes_nothing(
    tmp_path, any_size_tflite, option, value, message
):
    source = _save(tmp_path / "old.png")
    result = _run(source, option, value, model=any_size_tflite)
    assert result.exit_code == 1 and message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == ["old.png"]


def _log(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log_has_a_line_for_each_input_whatever_became_of_it(
    tmp_path, any_size_tflite
):
    for number in range(3):
        _save(tmp_path / "in" / f"{number}.jpg", seed=number)
    (tmp_path / "in" / "1.jpg").write_bytes(b"no picture")
    arguments = [tmp_path / "in", "-o", tmp_path / "out", "--log", tmp_path / "log"]
    assert _run(*arguments, model=any_size_tflite).exit_code == 1
    rows = {row["input"]: row for row in _log(tmp_path / "log")}
    names = [str(tmp_path / "in" / f"{number}.jpg") for number in range(3)]
    assert sorted(rows) == names
    assert [rows[name]["status"] for name in names] == ["written", "failed", "written"]
    assert rows[names[1]]["error"].startswith(names[1])
    assert rows[names[0]]["output"] == str(tmp_path / "out" / "0.jpg")
    assert rows[names[0]]["error"] is None and rows[names[0]]["seconds"] > 0
    again = _run(*arguments, "--skip-existing", model=any_size_tflite)
    assert again.exit_code == 1
    added = _log(tmp_path / "log")[3:]
    assert [row["status"] for row in added] == ["skipped", "skipped", "failed"]


def test_a_lone_photograph_is_logged_too(tmp_path, any_size_tflite):
    source, bad = _save(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(b"no picture")
    log = tmp_path / "log"
    assert _run(source, "--log", log, model=any_size_tflite).exit_code == 0
    assert _run(bad, "--log", log, model=any_size_tflite).exit_code == 1
    assert [row["status"] for row in _log(log)] == ["written", "failed"]
    assert _log(log)[1]["error"].startswith(str(bad))


def test_a_log_that_cannot_be_opened_ends_all_before_work(tmp_path, any_size_tflite):
    source = _save(tmp_path / "a.png")
    result = _run(source, "--log", tmp_path / "none" / "log", model=any_size_tflite)
    assert result.exit_code == 1 and "none" in result.output
    assert not (tmp_path / "a-color.png").exists()


def test_shards_together_do_all_and_one_may_be_empty(tmp_path, any_size_tflite):
    for number in range(2):
        _save(tmp_path / "in" / f"{number}.png", seed=number)
    said = []
    for index in range(5):
        result = _run(
            *(tmp_path / "in", "-o", tmp_path / "out", "--shard", f"{index}/5"),
            model=any_size_tflite,
        )
        assert result.exit_code == 0, result.output
        said.append(int(result.stderr.split()[0]))
    assert sum(said) == 2 and 0 in said
    assert sorted(os.listdir(tmp_path / "out")) == ["0.png", "1.png"]


def test_a_shard_outside_its_range_is_wrong_usage(tmp_path):
    result = _run(_save(tmp_path / "a.png"), "--shard", "3/3")
    assert result.exit_code == 2 and "0/3, 1/3 and 2/3" in result.output
