"""Tests for kcolor.evaluation: pairing, figures, intervals, self-check, command."""

import csv
import hashlib
import inspect
import json
import math
import platform
from pathlib import Path
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kcolor import presets
from kcolor.cli.main import main
from kcolor.color.graph import join, split
from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.evaluation import measure as evaluation
from kcolor.evaluation.measure import Measurements, check, evaluate, measure, summarize
from kcolor.images.resize import resize_square
from kcolor.metrics.ssim import ssim
from kcolor.parallel import evenly_spaced

SHARED = Path(__file__).parents[2].parent / "shared"
SIZE = 48
PIXELS = ["psnr", "ssim", "ciede2000", "colorfulness"]
needs_weights = pytest.mark.skipif(
    not (SHARED / "weights" / "lpips_alex.safetensors").is_file(),
    reason="the LPIPS weights in ../shared/weights are not here",
)
needs_corpus = pytest.mark.skipif(
    not (SHARED / "corpus" / "test-0000.tar").is_file(),
    reason="the photographs in ../shared/corpus are not here",
)


class Tinted:
    """Predicts an ab that depends on the lightness of each pixel, and on no other."""

    kind = "stand-in"

    def __init__(self, name="tinted", strength=0.1):
        self.name, self.strength = name, strength

    def predict_ab(self, lightness):
        one, other = np.sin(3 * lightness), np.cos(2 * lightness)
        ab = np.concatenate([one, other], axis=-1)
        return (self.strength * ab).astype("float32")


class Reversed(Tinted):
    """Hands back its batch in another order."""

    def predict_ab(self, lightness):
        return super().predict_ab(lightness)[::-1]


class Rgb(Tinted):
    """Answers RGB, as a file exported with RGB in and out does."""

    takes_rgb = True

    def predict_rgb(self, rgb):
        lightness, _ = (np.asarray(x) for x in split(rgb))
        return np.asarray(join(lightness, self.predict_ab(lightness)))


class Reshuffled:
    """A source that gives its pictures in another order at each pass."""

    def __init__(self, source):
        self.path, self.names, self.paired = source.path, source.names, False
        self._source, self._generator = source, np.random.default_rng(0)

    def __len__(self):
        return len(self.names)

    def read(self, index):
        return self._source.read(int(self._generator.integers(len(self))))

    def gray(self, index):
        return None


def _scene(seed, height, width):
    # Smooth blobs, brighter and darker more than colored, as photographs are.
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(30, 225, (4, 5, 1)) + generator.normal(0, 15, (4, 5, 3))
    coarse = coarse.astype("float32")
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image += generator.normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _write(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for i in range(7):
        group = ("cars", "flowers", "street")[i % 3]
        # Some shrink, some grow, some do either in one direction.
        _write(root / group / f"{i}.png", _scene(i, 30 + 12 * i, 90 - 8 * i))
    return root


@pytest.fixture(scope="module")
def measured(folder):
    return measure([Tinted()], folder, size=SIZE, metrics=PIXELS, batch_size=3)


def _pairs(root, shift=0, gray=lambda rgb: rgb):
    scenes = [_scene(seed, 50, 60) for seed in range(5)]
    for i, scene in enumerate(scenes):
        _write(root / "color" / f"{i}.png", scene)
        partner = gray(scenes[(i + shift) % len(scenes)])
        _write(root / "gray" / f"{i}.png", _gray(partner))
    return root


def _gray(rgb):
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)


def _scikit_image(truth, prediction):
    return (
        peak_signal_noise_ratio(truth, prediction),
        structural_similarity(
            truth,
            prediction,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        ),
        deltaE_ciede2000(rgb2lab(truth), rgb2lab(prediction)).mean(),
    )


def test_rows_equal_figures_computed_apart(folder, measured):
    for i, name in enumerate(measured.names):
        bgr = cv2.imread(str(folder / name))
        shrinks = SIZE <= bgr.shape[0] and SIZE <= bgr.shape[1]
        bgr = cv2.resize(
            bgr,
            (SIZE, SIZE),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        )
        truth = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)[None]
        lightness, ab = (np.asarray(x) for x in split(truth))
        predictions = {
            "gray": join(lightness, np.zeros_like(ab)),
            "tinted": join(lightness, Tinted().predict_ab(lightness)),
        }
        for row, prediction in predictions.items():
            figures = [measured.rows[row][metric][i] for metric in PIXELS[:3]]
            expected = _scikit_image(truth[0], np.asarray(prediction)[0])
            # A value on the edge of two levels may be rounded either way once compiled.
            np.testing.assert_allclose(figures, expected, atol=5e-3)


@needs_corpus
@pytest.mark.slow
def test_fifty_photographs_match_scikit_image():
    source = open_source(SHARED / "corpus" / "test-0000.tar")
    chosen = evenly_spaced(len(source), 50)
    seen = {}

    class Half(Tinted):
        def predict_ab(self, lightness):
            truth = np.stack([self.truths.pop(0) for _ in lightness])
            return np.asarray(split(truth)[1]) / 2

    half = Half("half")
    truths = [resize_square(source.read(i), 256) for i in chosen]
    half.truths = list(truths)
    result = measure([half], source, metrics=PIXELS, limit=50, batch_size=10)
    for truth in truths:
        lightness, ab = split(truth[None])
        for row, scale in (("gray", 0), ("half", 0.5)):
            prediction = np.asarray(join(lightness, np.asarray(ab) * scale))[0]
            seen.setdefault(row, []).append(_scikit_image(truth, prediction))
    for row, expected in seen.items():
        ours = np.stack([result.rows[row][metric] for metric in PIXELS[:3]], axis=1)
        # psnr and ssim per picture. CIEDE2000 of gray per picture differs by up to
        # 0.002, since scikit-image's grays have a chroma of 0.005; the mean does not.
        np.testing.assert_allclose(ours[:, :2], np.array(expected)[:, :2], atol=1e-3)
        np.testing.assert_allclose(ours.mean(0), np.mean(expected, 0), atol=1e-3)


@pytest.mark.parametrize("batch_size", [2, 7])
def test_figures_do_not_depend_on_the_batch_size(folder, measured, batch_size):
    other = measure(
        [Tinted()], folder, size=SIZE, metrics=PIXELS, batch_size=batch_size
    )
    assert other.names == measured.names
    for row, values in measured.rows.items():
        for metric, expected in values.items():
            assert len(expected) == 7
            np.testing.assert_allclose(other.rows[row][metric], expected, atol=1e-4)


def test_figures_do_not_depend_on_the_order_of_the_list(folder, measured, tmp_path):
    for i, name in enumerate(reversed(measured.names)):
        target = tmp_path / f"{i}.png"
        target.write_bytes((folder / name).read_bytes())
    other = measure([Tinted()], tmp_path, size=SIZE, metrics=PIXELS, batch_size=3)
    for metric in PIXELS:
        np.testing.assert_allclose(
            other.rows["tinted"][metric],
            measured.rows["tinted"][metric][::-1],
            atol=1e-4,
        )


@needs_weights
def test_lpips_of_each_row_is_that_of_the_model_itself(folder):
    from kcolor.metrics.lpips import build_lpips

    result = measure(
        [Tinted()],
        folder,
        size=SIZE,
        metrics=["lpips"],
        lpips_weights=SHARED / "weights",
        batch_size=4,
    )
    model = build_lpips(SHARED / "weights" / "lpips_alex.safetensors")
    for i, name in enumerate(result.names):
        truth = resize_square(open_source(folder).read(i), SIZE)[None]
        lightness, ab = (np.asarray(x) for x in split(truth))
        gray = np.asarray(join(lightness, np.zeros_like(ab)))
        expected = model([x.astype("float32") / 255 for x in (truth, gray)])
        assert result.rows["gray"]["lpips"][i] == pytest.approx(
            float(expected[0]), abs=1e-4
        ), name


def test_a_network_that_answers_rgb_gets_the_same_figures(folder, measured):
    other = measure([Rgb()], folder, size=SIZE, metrics=["ssim"], batch_size=7)
    # It receives 8-bit gray, whose rounding moves single pixels by a level.
    np.testing.assert_allclose(
        other.rows["tinted"]["ssim"], measured.rows["tinted"]["ssim"], atol=2e-3
    )


def test_gray_folder_is_the_input_and_the_gray_row(tmp_path):
    _pairs(tmp_path, gray=lambda rgb: (rgb // 2 + 60).astype(np.uint8))
    result = measure([], tmp_path, size=SIZE, metrics=["psnr"])
    source = open_source(tmp_path)
    truth, gray = (resize_square(x, SIZE) for x in (source.read(2), source.gray(2)))
    expected = peak_signal_noise_ratio(truth, gray)
    assert result.rows["gray"]["psnr"][2] == pytest.approx(expected, abs=1e-3)
    assert result.protocol["paired"]


def test_mispaired_folder_is_refused_and_named(tmp_path):
    _pairs(tmp_path, shift=1)
    with pytest.raises(DataError, match=r"^\d\S*: gray and color do not show the same"):
        measure([Tinted()], tmp_path, size=SIZE, metrics=["ssim"])


def test_pair_of_different_shapes_is_refused_and_named(tmp_path):
    _pairs(tmp_path)
    _write(tmp_path / "gray" / "3.png", _gray(_scene(3, 50, 80)))
    with pytest.raises(DataError, match="3.* different shapes: 80x50 and 60x50"):
        measure([Tinted()], tmp_path, size=SIZE, metrics=["ssim"])


@pytest.mark.parametrize("side", ["gray", "color"])
def test_missing_partner_is_named(tmp_path, side):
    _pairs(tmp_path)
    (tmp_path / side / "4.png").unlink()
    with pytest.raises(DataError, match="/4 has no partner"):
        measure([Tinted()], tmp_path, size=SIZE, metrics=["ssim"])


def test_self_check_passes_and_its_rows_are_what_they_must_be(folder):
    result = evaluate(
        [Tinted()], folder, size=SIZE, metrics=PIXELS, batch_size=3, self_check=True
    )
    rows = {row["model"]: row for row in result["rows"]}
    assert list(rows) == ["gray", "tinted", "truth", "sepia", "shuffled"]
    assert rows["truth"]["psnr"] == math.inf
    assert rows["truth"]["ssim"] == pytest.approx(1, abs=1e-6)
    assert rows["truth"]["ciede2000"] == pytest.approx(0, abs=1e-4)
    assert rows["shuffled"]["ssim"] < rows["gray"]["ssim"] - 0.3
    assert rows["shuffled"]["psnr"] < rows["gray"]["psnr"] - 3


def test_self_check_finds_a_reshuffled_source(folder):
    source = Reshuffled(open_source(folder))
    with pytest.raises(
        DataError, match="row truth: .* another picture when it was read"
    ):
        evaluate([], source, size=SIZE, metrics=["ssim"], self_check=True)


def test_self_check_finds_a_mixed_up_batch(folder):
    with pytest.raises(DataError, match="row mixed: .* other pictures of its batch"):
        evaluate(
            [Reversed("mixed")], folder, size=SIZE, metrics=["ssim"], self_check=True
        )


def test_self_check_finds_a_network_that_shows_other_pictures(folder):
    class Elsewhere(Rgb):
        def predict_rgb(self, rgb):
            return np.stack([_scene(99, SIZE, SIZE)] * len(rgb))

    with pytest.raises(DataError, match="row elsewhere: .*not those of the truth"):
        evaluate(
            [Elsewhere("elsewhere")],
            folder,
            size=SIZE,
            metrics=["ssim"],
            self_check=True,
        )


def _measurements(**rows):
    count = len(next(iter(rows.values())))
    return Measurements(
        names=[f"{i:04d}.png" for i in range(count)],
        rows={row: {"psnr": np.asarray(values, float)} for row, values in rows.items()},
        models={row: {} for row in rows if row != "gray"},
        protocol={"images": count, "size": 64, "paired": False},
    )


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(25, 3, 500)
    (row,) = summarize(_measurements(gray=values))["rows"]
    low, high = row["psnr_ci95"]
    half = 1.96 * values.std() / math.sqrt(500)
    assert row["psnr"] == pytest.approx(values.mean())
    np.testing.assert_allclose([low, high], values.mean() + [-half, half], atol=0.04)


def test_paired_difference_is_clear_where_the_means_are_not():
    generator = np.random.default_rng(1)
    hard = generator.normal(25, 4, 200)
    better = hard + generator.normal(0.2, 0.3, 200)
    same = hard + generator.normal(0, 0.3, 200)
    result = summarize(_measurements(gray=hard, better=better, same=same))
    rows = {row["model"]: row for row in result["rows"]}
    assert rows["gray"]["psnr_ci95"][1] > rows["better"]["psnr_ci95"][0]
    winners = {(d["a"], d["b"]): d["better"] for d in result["differences"]}
    assert winners[("better", "gray")] == "better"
    assert winners[("same", "gray")] is None
    assert winners[("same", "better")] == "better"


def test_less_is_better_for_ciede2000():
    values = np.random.default_rng(2).normal(10, 1, 50)
    measurements = _measurements(gray=values, model=values - 1)
    for row in measurements.rows.values():
        row["ciede2000"] = row.pop("psnr")
    (difference,) = summarize(measurements)["differences"]
    assert difference["better"] == "model"
    assert difference["difference"] == pytest.approx(-1)


def test_truth_without_color_counts_in_no_rows_psnr():
    measurements = _measurements(gray=[20, math.inf, 30], model=[22, 99, 32])
    rows = summarize(measurements)["rows"]
    assert [row["psnr"] for row in rows] == [25, 27]
    assert [row["psnr_images"] for row in rows] == [2, 2]
    assert [row["images"] for row in rows] == [3, 3]


def test_groups_are_folders_and_add_up(folder, measured):
    result = summarize(measured, by_group=True)
    assert [g["group"] for g in result["groups"]] == ["cars", "flowers", "street"]
    total = sum(
        group["rows"][1]["images"] * group["rows"][1]["ssim"]
        for group in result["groups"]
    )
    assert total / 7 == pytest.approx(result["rows"][1]["ssim"])


@pytest.mark.parametrize(
    "names, expected",
    [
        (["test/a/1.jpg", "test/b/2.jpg"], {"a": [0], "b": [1]}),
        (["a/x/1.jpg", "a/x/2.jpg"], {"x": [0, 1]}),
        (["1.jpg", "a/2.jpg"], {".": [0], "a": [1]}),
        (["a/1.jpg", "a/b/2.jpg"], {"a": [0], "a/b": [1]}),
    ],
)
def test_groups_lose_what_all_share(names, expected):
    found = {g: list(members) for g, members in evaluation.groups(names).items()}
    assert found == expected


@pytest.mark.parametrize("count, limit", [(10, 3), (7, 7), (5, 9), (1000, 64), (4, 1)])
def test_limit_takes_different_pictures_from_the_whole_list(count, limit):
    chosen = evenly_spaced(count, limit)
    assert len(set(chosen)) == len(chosen) == min(count, limit)
    assert chosen == sorted(chosen)
    gaps = np.diff([-1, *chosen, count])
    assert gaps.max() <= 2 * math.ceil(count / len(chosen))


def test_absent_lpips_weights_are_said_or_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KCOLOR_LPIPS_WEIGHTS", raising=False)
    result = evaluate([], folder, size=SIZE, limit=2)
    assert result["rows"][0]["lpips"] is None
    assert "make_lpips_weights.py" in result["protocol"]["missing"]["lpips"]
    with pytest.raises(DataError, match="lpips cannot be measured: no LPIPS weights"):
        evaluate([], folder, size=SIZE, limit=2, metrics=["psnr", "lpips"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": 30}, "size must be at least 31. Received: 30"),
        ({"limit": 0}, "limit must be at least 1. Received: 0"),
        ({"metrics": ["psnr", "fid"]}, "must be some of .* Received: fid"),
        ({"metrics": []}, "Received: none"),
        ({"self_check": True, "metrics": ["psnr"]}, "needs the metric ssim"),
        ({"self_check": True, "limit": 1}, "at least 2 pictures"),
    ],
)
def test_argument_out_of_range_is_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate([], folder, **{"size": SIZE, "metrics": ["ssim"], **options})


def test_models_of_one_name_get_rows_of_their_own(folder):
    paths = ["x/a/model.keras", "y/a/model.keras", "z/b/model.keras"]
    models = [Tinted(path) for path in [*paths, "served/1", "runs/c/", "gray"]]
    result = measure(models, folder, size=SIZE, metrics=["psnr"], limit=2)
    assert list(result.rows)[:6] == [
        "gray",
        *paths[:2],
        "b/model.keras",
        "served/1",
        "c",
    ]
    assert len(result.rows) == 7


@pytest.mark.parametrize("names", [["gray (5)", "gray"], ["x (6)", "x", "x"]])
def test_row_never_takes_a_name_that_another_model_has(folder, names):
    models = [Tinted(name) for name in names]
    result = measure(models, folder, size=SIZE, metrics=["psnr"], limit=2)
    assert len(result.models) == len(names)
    assert result.rows.keys() == {"gray", *result.models}


def test_preset_is_reported_with_the_hash_of_its_file(folder):
    result = measure(["mobile"], folder, size=64, metrics=["psnr"], limit=2)
    content = presets.find("mobile").read_bytes()
    assert result.models["mobile"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_library_leaves_the_process_as_it_is(folder, monkeypatch):
    calls = []
    library = SimpleNamespace(mallopt=lambda *setting: calls.append(setting))
    monkeypatch.setattr("kcolor.process.ctypes.CDLL", lambda name: library)
    measure([Tinted()], folder, size=SIZE, metrics=["psnr"], limit=2)
    assert not calls


def test_result_is_strict_json(measured):
    measured.rows["gray"]["psnr"][:] = math.inf
    text = json.dumps(evaluation.to_json(summarize(measured)), allow_nan=False)
    rows = json.loads(text)["rows"]
    assert rows[0]["psnr"] is None  # no picture counts
    assert evaluation.to_json(math.inf) == "inf"


def test_check_needs_no_more_than_its_rows():
    shuffled = np.full(20, 0.2)
    measurements = _measurements(gray=shuffled + 0.5)
    measurements.rows = {
        row: {"ssim": values}
        for row, values in {
            "gray": shuffled + 0.5,
            "truth": np.ones(20),
            "sepia": shuffled + 0.4,
            "shuffled": shuffled,
        }.items()
    }
    check(measurements)
    measurements.rows["gray"]["ssim"] = shuffled - 0.01
    with pytest.raises(DataError, match="row gray: SSIM 0.190 is no better"):
        check(measurements)


def test_every_default_of_the_command_is_the_functions_own():
    given = main.commands["evaluate"].make_context("evaluate", ["m", "--data", "x"])
    parameters = inspect.signature(evaluate).parameters
    for name, parameter in parameters.items():
        if name not in ("models", "data", "progress"):
            assert given.params[name] == parameter.default, name


@pytest.fixture
def command(monkeypatch):
    # The command's own path through everything but the network.
    monkeypatch.setattr(
        "kcolor.runtimes.resolve.load_predictor", lambda name: Tinted(name)
    )

    def run(*arguments):
        return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])

    return run


def test_command_writes_all_it_is_asked_for(command, folder, tmp_path):
    result = command(
        *("before", "after", "--data", folder, "--size", SIZE, "--limit", 6),
        *("--metrics", "psnr, ssim", "--by-group", "--self-check", "--before-after"),
        *("--json", tmp_path / "r.json", "--per-image", tmp_path / "p.csv"),
        *("--report", tmp_path / "report"),
    )
    assert result.exit_code == 0, result.output
    assert "Self-check passed." in result.output
    assert "cars (3 pictures)" in result.output
    assert "flowers (1 picture)" in result.output
    assert "before minus gray" in result.output
    written = json.loads((tmp_path / "r.json").read_text())
    assert [row["model"] for row in written["rows"]][:3] == ["gray", "before", "after"]
    assert written["protocol"]["versions"]["numpy"] == np.__version__
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + 6 * 6
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Before and after" in page


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_command_keeps_freed_memory(command, folder, monkeypatch):
    calls = []
    library = SimpleNamespace(mallopt=lambda *setting: calls.append(setting))
    monkeypatch.setattr("kcolor.process.ctypes.CDLL", lambda name: library)
    command("m", "--data", folder, "--size", SIZE, "--metrics", "psnr", "--limit", 1)
    assert calls


def test_command_measures_a_keras_file(folder, tmp_path):
    lightness = keras.Input((None, None, 1), name="lightness")
    ab = keras.layers.Conv2D(
        2, 3, padding="same", kernel_initializer=keras.initializers.RandomNormal(seed=1)
    )(lightness)
    model = keras.Model(lightness, ab)
    model.save(tmp_path / "tiny.keras")
    arguments = ["evaluate", str(tmp_path / "tiny.keras"), "--data", str(folder)]
    arguments += ["--size", "64", "--metrics", "ssim"]
    arguments += ["--per-image", str(tmp_path / "all.csv")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    with open(tmp_path / "all.csv", newline="") as file:
        lines = [x for x in csv.DictReader(file) if x["model"] == "tiny.keras"]
    assert len(lines) == 7
    assert "Measured 7 of 7 pictures." in result.stderr
    source = open_source(folder)
    for i, line in enumerate(lines):
        truth = resize_square(source.read(i), 64)[None]
        lightness, _ = split(truth)
        expected = ssim(truth, join(lightness, model(lightness)))
        assert float(line["ssim"]) == pytest.approx(float(expected[0]), abs=1e-4)


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["m"], 2, "Missing option '--data'"),
        (["m", "--data", "FOLDER", "--before-after"], 2, "even number of models"),
        (["m", "--data", "FOLDER", "--metrics", "fid"], 1, "Received: fid"),
        (["m", "--data", "FOLDER", "--json", "no/where.json"], 1, "no/where.json"),
        (
            ["m", "--data", "FOLDER", "--lpips-weights", "none.safetensors"],
            1,
            "none.safetensors: no such LPIPS weights file",
        ),
    ],
)
def test_command_fails_with_one_line(command, folder, arguments, code, message):
    result = command(*(str(folder) if a == "FOLDER" else a for a in arguments))
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_unreadable_picture_is_named(command, tmp_path):
    _write(tmp_path / "good.png", _scene(0, 40, 50))
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8 not a picture")
    result = command("m", "--data", tmp_path, "--size", SIZE, "--metrics", "ssim")
    assert result.exit_code == 1
    assert "torn.jpg" in result.output
