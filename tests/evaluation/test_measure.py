"""Tests for kcolor.evaluation.measure: pairing, figures, options."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scenes import Rgb, Tinted, scene, write_picture
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kcolor.color.graph import join, split
from kcolor.data.source import open_source
from kcolor.errors import DataError
from kcolor.evaluation import Options, evaluate, measure
from kcolor.evaluation.measure import render
from kcolor.evaluation.protocol import COLUMNS, METRICS
from kcolor.evaluation.tables import markdown_table
from kcolor.images.resize import resize_square
from kcolor.metrics import lpips
from kcolor.metrics.chroma import chroma_excess
from kcolor.parallel import evenly_spaced

SHARED = Path(__file__).parents[2].parent / "shared"
SIZE = 48
PIXELS = ["psnr", "ssim", "ciede2000", "colorfulness"]
needs_corpus = pytest.mark.skipif(
    not (SHARED / "corpus" / "test-0000.tar").is_file(),
    reason="the photographs in ../shared/corpus are not here",
)


@pytest.fixture(scope="module")
def measured(folder):
    return measure([Tinted()], folder, Options(size=SIZE, metrics=PIXELS, batch_size=3))


def _pairs(root, shift=0, gray=lambda rgb: rgb):
    scenes = [scene(seed, 50, 60) for seed in range(5)]
    for i, color in enumerate(scenes):
        write_picture(root / "color" / f"{i}.png", color)
        partner = gray(scenes[(i + shift) % len(scenes)])
        write_picture(root / "gray" / f"{i}.png", _gray(partner))
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
    result = measure([half], source, Options(metrics=PIXELS, limit=50, batch_size=10))
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
    options = Options(size=SIZE, metrics=PIXELS, batch_size=batch_size)
    other = measure([Tinted()], folder, options)
    assert other.names == measured.names
    for row, values in measured.rows.items():
        for metric, expected in values.items():
            assert len(expected) == 7
            np.testing.assert_allclose(other.rows[row][metric], expected, atol=1e-4)


def test_figures_do_not_depend_on_the_order_of_the_list(folder, measured, tmp_path):
    for i, name in enumerate(reversed(measured.names)):
        target = tmp_path / f"{i}.png"
        target.write_bytes((folder / name).read_bytes())
    other = measure(
        [Tinted()], tmp_path, Options(size=SIZE, metrics=PIXELS, batch_size=3)
    )
    for metric in PIXELS:
        np.testing.assert_allclose(
            other.rows["tinted"][metric],
            measured.rows["tinted"][metric][::-1],
            atol=1e-4,
        )


def test_lpips_of_each_row_is_that_of_the_model_itself(folder):
    result = measure([], folder, Options(size=SIZE, metrics=["lpips"], batch_size=4))
    model = lpips.build_lpips(lpips.usual_weights())
    for i, name in enumerate(result.names):
        truth = resize_square(open_source(folder).read(i), SIZE)[None]
        lightness, ab = (np.asarray(x) for x in split(truth))
        gray = np.asarray(join(lightness, np.zeros_like(ab)))
        expected = model([x.astype("float32") / 255 for x in (truth, gray)])
        assert result.rows["gray"]["lpips"][i] == pytest.approx(
            float(expected[0]), abs=1e-4
        ), name


def test_chroma_excess_is_measured_where_it_is_asked_for(folder):
    options = Options(size=SIZE, metrics=["chroma_excess"], batch_size=3)
    vivid = Tinted("vivid", strength=0.6)
    result = measure([vivid], folder, options)
    shown = render([vivid], folder, result.names, options)
    for row in ("gray", "vivid"):
        expected = np.asarray(
            chroma_excess(np.stack(shown["truth"]), np.stack(shown[row]))
        )
        np.testing.assert_allclose(
            result.rows[row]["chroma_excess"], expected, atol=0.1
        )
    assert not result.rows["gray"]["chroma_excess"].any()
    assert result.rows["vivid"]["chroma_excess"].min() > 10


def test_every_metric_has_a_scorer_and_a_text(folder):
    # SqueezeNet's parameters are not in the package; FID and KID are of all pictures.
    left_out = {"lpips_squeeze", "fid", "kid"}
    metrics = [name for name in METRICS if name not in left_out]
    result = measure([], folder, Options(size=SIZE, limit=2, metrics=metrics))
    assert list(result.rows["gray"]) == [c for c in COLUMNS if c not in left_out]
    assert all(result.protocol["metrics"].values())


def test_a_network_that_answers_rgb_gets_the_same_figures(folder, measured):
    other = measure([Rgb()], folder, Options(size=SIZE, metrics=["ssim"], batch_size=7))
    # It receives 8-bit gray, whose rounding moves single pixels by a level.
    np.testing.assert_allclose(
        other.rows["tinted"]["ssim"], measured.rows["tinted"]["ssim"], atol=2e-3
    )


def test_gray_folder_is_the_input_and_the_gray_row(tmp_path):
    _pairs(tmp_path, gray=lambda rgb: (rgb // 2 + 60).astype(np.uint8))
    result = measure([], tmp_path, Options(size=SIZE, metrics=["psnr"]))
    source = open_source(tmp_path)
    truth, gray = (resize_square(x, SIZE) for x in (source.read(2), source.gray(2)))
    expected = peak_signal_noise_ratio(truth, gray)
    assert result.rows["gray"]["psnr"][2] == pytest.approx(expected, abs=1e-3)
    assert result.protocol["paired"]


def test_mispaired_folder_is_refused_and_named(tmp_path):
    _pairs(tmp_path, shift=1)
    with pytest.raises(DataError, match=r"^\d\S*: gray and color do not show the same"):
        measure([Tinted()], tmp_path, Options(size=SIZE, metrics=["ssim"]))


def test_pair_of_different_shapes_is_refused_and_named(tmp_path):
    _pairs(tmp_path)
    write_picture(tmp_path / "gray" / "3.png", _gray(scene(3, 50, 80)))
    with pytest.raises(DataError, match="3.* different shapes: 80x50 and 60x50"):
        measure([Tinted()], tmp_path, Options(size=SIZE, metrics=["ssim"]))


@pytest.mark.parametrize("side", ["gray", "color"])
def test_missing_partner_is_named(tmp_path, side):
    _pairs(tmp_path)
    (tmp_path / side / "4.png").unlink()
    with pytest.raises(DataError, match="/4 has no partner"):
        measure([Tinted()], tmp_path, Options(size=SIZE, metrics=["ssim"]))


def test_every_default_figure_is_a_number_on_a_fresh_install(folder, monkeypatch):
    monkeypatch.delenv(lpips.ENVIRONMENT_VARIABLE, raising=False)
    result = evaluate([Tinted()], folder, size=SIZE, limit=2)
    for row in result["rows"]:
        assert {"psnr", "ssim", "lpips", "ciede2000", "colorfulness"} <= set(row)
    assert "n/a" not in markdown_table(result)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": 30}, "size must be at least 31. Received: 30"),
        ({"limit": 0}, "limit must be at least 1. Received: 0"),
        ({"metrics": ["psnr", "fvd"]}, "must be some of .* Received: fvd"),
        ({"metrics": []}, "Received: none"),
        ({"self_check": True, "metrics": ["psnr"]}, "needs the metric ssim"),
        ({"self_check": True, "limit": 1}, "at least 2 pictures"),
    ],
)
def test_argument_out_of_range_is_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate([], folder, **{"size": SIZE, "metrics": ["ssim"], **options})


def test_library_leaves_the_process_as_it_is(folder, monkeypatch):
    calls = []
    library = SimpleNamespace(mallopt=lambda *setting: calls.append(setting))
    monkeypatch.setattr("kcolor.process.ctypes.CDLL", lambda name: library)
    measure([Tinted()], folder, Options(size=SIZE, metrics=["psnr"], limit=2))
    assert not calls
