"""Tests for kcolor.presets: what packs bring, and that they can harm nobody."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from preset_packs import install_pack
from small_network import build_small

from kcolor import presets
from kcolor.cli.main import main
from kcolor.errors import DataError
from kcolor.runtimes.resolve import load_predictor, resolve


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture(scope="session")
def small_keras(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "small.keras"
    build_small().save(path)
    return path


def names():
    return [preset.name for preset in presets.listed()[0]]


def test_a_pack_brings_presets(site, any_size_tflite):
    install_pack(site, "some-models", {"tiny": [any_size_tflite]})
    assert names() == ["mobile", "mobile-int8", "tiny"]
    found = resolve("tiny")
    assert (found.kind, found.is_preset) == ("tflite", True)
    assert found.preset.origin == "some-models 1.0"
    lightness = np.random.default_rng(0).uniform(-1, 1, (2, 32, 64, 1))
    ab = load_predictor("tiny").predict_ab(lightness.astype("float32"))
    assert ab.shape == (2, 32, 64, 2)


def test_the_presets_may_lie_in_a_part_of_a_package(site, any_size_tflite):
    install_pack(
        site,
        "deep-models",
        {"tiny": [any_size_tflite]},
        package="deep",
        entry="deep.colors",
    )
    assert resolve("tiny").path == site / "deep" / "colors" / "tiny.tflite"


def test_what_runs_and_what_trains_are_two_files(site, any_size_tflite, small_keras):
    from kcolor.runtimes.keras import load_model

    install_pack(
        site,
        "some-models",
        {"tiny": [any_size_tflite, small_keras], "trained": [small_keras]},
    )
    assert resolve("tiny").path.suffix == ".tflite"
    assert resolve("tiny", to_train=True).path.suffix == ".keras"
    assert load_model("tiny").name == "small"
    assert load_predictor("tiny").kind == "tflite"
    # Where there is one file only, it serves for both.
    assert load_predictor("trained").kind == "keras"


def test_training_from_a_foreign_tflite_file_is_refused(site, any_size_tflite):
    from kcolor.runtimes.keras import load_model

    install_pack(site, "some-models", {"tiny": [any_size_tflite]})
    with pytest.raises(DataError, match="tiny.tflite: holds no float16 weights of a m"):
        load_model("tiny")


def test_a_bundled_preset_is_found_without_a_look_at_packs():
    code = (
        "import sys; from kcolor.runtimes.resolve import resolve;"
        "found = [resolve('mobile'), resolve('./a.tflite'), resolve('a.keras')];"
        "print([m for m in ('importlib.metadata', 'kcolor.presets.packs')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_pack_cannot_take_a_bundled_name(site, any_size_tflite):
    install_pack(
        site, "bad-models", {"mobile": [any_size_tflite], "tiny": [any_size_tflite]}
    )
    assert resolve("mobile").path != site / "bad_models" / "mobile.tflite"
    found, faults = presets.listed()
    assert [p.origin for p in found if p.name == "mobile"] == ["kcolor"]
    assert faults == ["mobile: kcolor's own; that of bad-models 1.0 is left out"]
    assert resolve("tiny").is_preset


def test_a_name_that_two_packs_bring_is_refused(site, any_size_tflite):
    install_pack(site, "a-models", {"tiny": [any_size_tflite]})
    install_pack(
        site, "b-models", {"tiny": [any_size_tflite], "other": [any_size_tflite]}
    )
    with pytest.raises(DataError, match="tiny: a-models 1.0 and b-models 1.0 bring a"):
        resolve("tiny")
    found, faults = presets.listed()
    assert [p.name for p in found] == ["mobile", "mobile-int8", "other"]
    assert len(faults) == 1 and "uninstall one, or give a path" in faults[0]


@pytest.mark.parametrize(
    "entry, fault",
    [
        ("nonesuch", "its presets cannot be found .no package 'nonesuch'"),
        ("os", "its presets cannot be found .no package 'os'"),
        ("bad_models.nowhere", "its presets cannot be found .no folder .*nowhere"),
        ("bad_models:colors", "its presets cannot be found .no package"),
        ("..", "its presets cannot be found"),
        ("bad_models", "holds no preset .no card NAME.json."),
    ],
)
def test_a_broken_pack_is_named_and_harms_no_other(
    entry, fault, site, any_size_tflite, tmp_path
):
    install_pack(site, "bad-models", {})
    info = site / "bad_models-1.0.dist-info" / "entry_points.txt"
    info.write_text(f"[kcolor.presets]\nbad = {entry}\n")
    install_pack(site, "good-models", {"tiny": [any_size_tflite]})
    assert resolve("tiny").is_preset
    with pytest.raises(DataError, match=f"bad-models 1.0: {fault}"):
        resolve("tony")
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0 and "good-models 1.0" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: bad-models 1.0: ")


@pytest.mark.parametrize(
    "text, fault",
    [
        ("{", "tiny.json: the card is not valid JSON"),
        ("[]", "tiny.json: the card must be a JSON object"),
        ("{}", "tiny.tflite: its SHA-256 is not what the card of tiny says"),
        ('{"sha256": 3}', "tiny.tflite: its SHA-256 is not what the card of tiny says"),
    ],
)
def test_a_damaged_card_is_named(text, fault, site, any_size_tflite):
    folder = install_pack(
        site, "some-models", {"tiny": [any_size_tflite], "sound": [any_size_tflite]}
    )
    (folder / "tiny.json").write_text(text)
    with pytest.raises(DataError, match=fault):
        load_predictor("tiny")
    assert load_predictor("sound").kind == "tflite"
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0 and "sound" in result.stdout


ROW = dict.fromkeys(presets.METRICS, 1.5)
PROTOCOL = {"images": 7, "size": 64}


@pytest.mark.parametrize(
    "wrong, fault",
    [
        ({"megabytes": "7.7"}, "`megabytes` must be a number"),
        ({"milliseconds": None}, "`milliseconds` must be a number"),
        ({"megabytes": 10**400}, "`megabytes` must be a number"),
        ({"figures": None}, "`figures` must be an object"),
        ({"figures": {"protocol": "val"}}, "the `protocol` of `figures` must be"),
        ({"figures": {"protocol": {"size": 64}}}, "the `protocol` of `figures` must"),
        ({"figures": {"protocol": PROTOCOL}}, "`figures` must have two `rows`"),
        ({"figures": {"protocol": PROTOCOL, "rows": [ROW]}}, "must have two `rows`"),
        ({"figures": {"protocol": PROTOCOL, "rows": [ROW, {}]}}, "of psnr, ssim, lpip"),
        ({"machine": None}, "`machine` must be an object with the name of its `proces"),
        ({"machine": {"processor": 3}}, "`machine` must be an object with the name"),
    ],
)
def test_a_card_with_wrong_figures_is_named_and_the_others_listed(
    wrong, fault, site, any_size_tflite
):
    folder = install_pack(
        site, "some-models", {"tiny": [any_size_tflite], "sound": [any_size_tflite]}
    )
    card = json.loads((folder / "tiny.json").read_text())
    (folder / "tiny.json").write_text(json.dumps(card | wrong))
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0 and "sound" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Warning: {folder}/tiny.json: ") and fault in line
    named = CliRunner().invoke(main, ["models", "tiny"])
    assert named.exit_code == 1 and fault in named.stderr
    # It says nothing of what runs.
    assert load_predictor("tiny").kind == "tflite"


@pytest.mark.parametrize("text", ["[" * 100_000, None])
def test_a_card_that_cannot_be_read_is_named(text, site, any_size_tflite):
    folder = install_pack(site, "some-models", {"tiny": [any_size_tflite]})
    (folder / "tiny.json").unlink()
    if text is None:
        (folder / "tiny.json").mkdir()
    else:
        (folder / "tiny.json").write_text(text)
    result = CliRunner().invoke(main, ["models"])
    assert result.exit_code == 0 and "mobile-int8" in result.stdout
    assert f"{folder}/tiny.json: " in result.stderr


def test_the_table_shows_what_cards_are_checked_for():
    from kcolor.cli.models import _DIGITS

    assert tuple(_DIGITS) == presets.METRICS


def test_a_file_that_is_not_the_cards_is_refused(site, any_size_tflite, small_keras):
    from kcolor.runtimes.keras import load_model

    folder = install_pack(site, "some-models", {"tiny": [any_size_tflite, small_keras]})
    for suffix, load in ((".tflite", load_predictor), (".keras", load_model)):
        file = folder / f"tiny{suffix}"
        file.write_bytes(file.read_bytes() + b"\0")
        with pytest.raises(DataError, match=f"tiny{suffix}: its SHA-256 is not"):
            load("tiny")


def test_a_file_that_the_card_names_must_be_there(site, any_size_tflite, small_keras):
    folder = install_pack(site, "some-models", {"tiny": [any_size_tflite, small_keras]})
    (folder / "tiny.keras").unlink()
    with pytest.raises(DataError, match="tiny.keras: no such file, but the card names"):
        resolve("tiny", to_train=True)
    assert resolve("tiny").kind == "tflite"
    card = json.loads((folder / "tiny.json").read_text())
    (folder / "tiny.json").write_text(json.dumps({"license": card["license"]}))
    (folder / "tiny.tflite").unlink()
    with pytest.raises(DataError, match="some-models 1.0 has its card, but no file"):
        resolve("tiny")


def test_a_wrong_picture_never_comes_of_a_damaged_pack(site, any_size_tflite, tmp_path):
    import cv2

    folder = install_pack(site, "some-models", {"tiny": [any_size_tflite]})
    content = bytearray((folder / "tiny.tflite").read_bytes())
    content[-len(content) // 3] ^= 255
    (folder / "tiny.tflite").write_bytes(content)
    photo = tmp_path / "photo.png"
    cv2.imwrite(
        str(photo), np.random.default_rng(1).integers(0, 256, (40, 60), "uint8")
    )
    result = CliRunner().invoke(main, ["colorize", str(photo), "--model", "tiny"])
    assert result.exit_code == 1 and "tiny.tflite: its SHA-256" in result.stderr
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".png"] == ["photo.png"]


def test_models_shows_what_is_known_of_a_packs_preset(site, any_size_tflite):
    folder = install_pack(site, "some-models", {"tiny": [any_size_tflite]})

    def listed():
        output = CliRunner().invoke(main, ["models"]).stdout
        table, _, legend = output.partition("\nms: ")
        return table.splitlines()[-1].split(), " ".join(legend.split())

    row, legend = listed()
    assert row == ["tiny", "some-models", "1.0", *"-------"]
    assert "-: not measured, or on other pictures" in legend
    shown = CliRunner().invoke(main, ["models", "tiny"])
    assert shown.exit_code == 0 and "license: CC0-1.0" in shown.stdout

    card = json.loads((folder / "tiny.json").read_text())
    rows = [{"psnr": 20, "ssim": 0.9, "lpips": 0.2, "ciede2000": 9, "colorfulness": 0}]
    protocol = {"images": 7, "size": 64, "list_sha256": "of other pictures"}
    card |= {"figures": {"protocol": protocol, "rows": 2 * rows}, "megabytes": 1.26}
    (folder / "tiny.json").write_text(json.dumps(card))
    assert listed()[0] == ["tiny", "some-models", "1.0", "1.3", *"------"]
    # Beside its own gray it says something.
    shown = CliRunner().invoke(main, ["models", "tiny"]).stdout
    assert "(left gray)" in shown
    assert "7 test pictures at 64" in " ".join(shown.split())


def test_a_path_with_a_dot_or_a_slash_is_never_a_preset(site, any_size_tflite):
    install_pack(site, "some-models", {"tiny.v2": [any_size_tflite]})
    assert "tiny.v2" not in names()
    assert presets.get("tiny.v2") is None and presets.get("a/tiny") is None
