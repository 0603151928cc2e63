"""Tests for the SavedModel, and for the deployment kit in export/serving."""

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

if find_spec("tensorflow_serving") is None:
    pytest.skip("needs kcolor[export]", allow_module_level=True)

import tensorflow as tf
from google.protobuf import text_format
from serving_stand_in import Model, grpc_server, rest_server
from small_network import build_small
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from kcolor.color.graph import split
from kcolor.errors import DataError
from kcolor.export import graphs, saved_model
from kcolor.export.saved_model import export_saved_model
from kcolor.images import view
from kcolor.runtimes.resolve import load_predictor
from kcolor.runtimes.saved_model import SavedModelPredictor

SIZE = 64
KIT = Path(__file__).parents[2] / "export" / "serving"


def load_client():
    spec = importlib.util.spec_from_file_location(
        "kcolor_client", KIT / "kcolor_client.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load_client()


def random_image(height, width, seed=0, channels=3):
    """Smooth in places and noisy in others, as photographs are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 4, channels), "uint8")
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return image.reshape(height, width, channels)


def png(image):
    return tf.io.encode_png(image).numpy()


def jpeg(image):
    return tf.io.encode_jpeg(image, quality=95).numpy()


def decoded(content):
    return tf.io.decode_image(content).numpy()


def largest_difference(a, b):
    return int(np.abs(np.asarray(a, "int16") - np.asarray(b, "int16")).max())


@pytest.fixture(scope="module")
def small():
    return build_small()


@pytest.fixture(scope="module")
def exported(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "kcolor"
    return folder, export_saved_model(small, folder, size=SIZE)


@pytest.fixture(scope="module")
def served(exported):
    return Model(exported[1]["file"])


@pytest.fixture
def model(served):
    yield served
    served.failures = served.delay = served.requests = 0


def mixed_request():
    """JPEGs, a gray PNG, a sepia picture and a PNG of 400x600."""
    gray = random_image(50, 81, 1, channels=1)
    sepia = (random_image(90, 60, 2, channels=1) * [1.0, 0.85, 0.6]).astype("uint8")
    return [
        jpeg(random_image(120, 80, 3)),
        jpeg(random_image(33, 47, 4)),
        png(gray),
        png(sepia),
        png(random_image(400, 600, 5)),
    ]


def test_export_stays_within_one_level_of_keras(exported):
    assert exported[1]["differences"]["levels_max"] <= 1


def test_variables_are_written_once(small, exported):
    data = Path(exported[1]["file"], "variables", "variables.data-00000-of-00001")
    assert data.stat().st_size < 4 * small.count_params() * 1.2


def test_mixed_request_runs_without_kcolor(exported, tmp_path):
    for i, content in enumerate(mixed_request()):
        (tmp_path / f"{i}.in").write_bytes(content)
    script = """
import pathlib, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
files = sorted(pathlib.Path(sys.argv[2]).glob("*.in"))
request = tf.constant([f.read_bytes() for f in files])
answers = model.signatures["serving_default"](image_bytes=request)["colorized_bytes"]
for file, answer in zip(files, answers.numpy()):
    file.with_suffix(".out").write_bytes(answer)
sys.exit(any(name.split(".")[0] == "kcolor" for name in sys.modules))
"""
    subprocess.run(
        [sys.executable, "-I", "-c", script, exported[1]["file"], str(tmp_path)],
        check=True,
        capture_output=True,
    )
    sizes = [decoded((tmp_path / f"{i}.out").read_bytes()).shape for i in range(5)]
    assert sizes == [(120, 80, 3), (33, 47, 3), (50, 81, 3), (90, 60, 3), (400, 600, 3)]


def test_answer_has_the_lightness_of_the_input(model):
    for content in mixed_request():
        rgb = tf.io.decode_image(content, channels=3)
        answer = model.run("serving_default", {"image_bytes": tf.constant([content])})
        colorized = decoded(answer["colorized_bytes"].numpy()[0])
        before, after = split(rgb)[0], split(tf.constant(colorized))[0]
        assert float(tf.reduce_mean(tf.abs(before - after))) * 50 < 0.5  # L* units
        assert np.ptp(colorized.astype(int), axis=-1).max() > 10


def test_sepia_is_answered_as_its_gray_is(small):
    gray = random_image(96, 64, channels=1)
    sepia = (gray * [1.0, 0.85, 0.6]).astype("uint8")
    lightness, _ = split(sepia[None])
    from kcolor.color.graph import join

    toneless = join(lightness, tf.zeros((*lightness.shape[:-1], 2)))
    difference = largest_difference(
        graphs.colorize_any(small, tf.constant(sepia[None]), view.canvases(SIZE)),
        graphs.colorize_any(small, toneless, view.canvases(SIZE)),
    )
    assert difference <= 3  # lightness of 8-bit gray is rounded once more


def test_tensors_and_bytes_are_answered_alike(exported):
    predictor = SavedModelPredictor("model", exported[1]["file"])
    for i, (height, width) in enumerate([(40, 100), (100, 40), (70, 70)]):
        image = random_image(height, width, i)
        expected = predictor.predict_rgb(image[None])[0]
        answer = decoded(predictor.predict_bytes([png(image)])[0])
        assert largest_difference(expected, answer) <= 1


def test_large_pictures_are_recolored_in_strips(monkeypatch):
    image = random_image(70, 90)
    ab = tf.constant(
        np.random.default_rng(0).uniform(-0.2, 0.2, (1, 8, 9, 2)), "float32"
    )
    whole = saved_model._join_strips(tf.constant(image), ab)
    monkeypatch.setattr(saved_model, "_STRIP", 90 * 11)
    strips = saved_model._join_strips(tf.constant(image), ab)
    assert strips.shape == image.shape
    assert largest_difference(whole, strips) <= 1


@pytest.mark.parametrize("position", [0, 2, 4])
def test_undecodable_picture_fails_alone(model, position):
    request = [png(random_image(40, 30, i)) for i in range(4)]
    request.insert(position, jpeg(random_image(60, 60))[:200])
    answers = model.run("serving_default", {"image_bytes": tf.constant(request)})
    answers = answers["colorized_bytes"].numpy()
    assert answers[position] == b""
    assert [i for i, answer in enumerate(answers) if not answer] == [position]


def test_request_of_no_picture_at_all_is_answered(model):
    answers = model.run("serving_default", {"image_bytes": tf.constant([b"", b"text"])})
    assert answers["colorized_bytes"].numpy().tolist() == [b"", b""]


def test_gray_input_and_color_input_share_a_result(model):
    gray = random_image(60, 40, channels=1)
    request = tf.constant([png(gray), png(np.repeat(gray, 3, -1))])
    one, other = model.run("serving_default", {"image_bytes": request})[
        "colorized_bytes"
    ].numpy()
    assert largest_difference(decoded(one), decoded(other)) <= 1


def test_network_signature_takes_any_multiple_of_32(small, exported):
    predictor = load_predictor(str(exported[0]))
    lightness = (
        np.random.default_rng(0).uniform(-1, 1, (2, 96, 32, 1)).astype("float32")
    )
    np.testing.assert_allclose(
        predictor.predict_ab(lightness), small(lightness), atol=1e-5
    )


def test_jpeg_answers_are_jpegs(small, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model.parity, "PICTURES", 2)
    result = export_saved_model(small, tmp_path / "m", size=SIZE, encoding="jpeg")
    predictor = SavedModelPredictor("model", result["file"])
    (answer,) = predictor.predict_bytes([png(random_image(40, 30))])
    assert answer[:2] == b"\xff\xd8"


def test_warmup_parses_and_runs(exported, served):
    path = Path(exported[1]["file"], "assets.extra", "tf_serving_warmup_requests")
    signatures = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "kcolor"
        inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        outputs = served.run(request.model_spec.signature_name, inputs)
        signatures.append(request.model_spec.signature_name)
        for value in outputs.values():
            if value.dtype == tf.string:
                assert all(value.numpy())
    assert set(signatures) == {"serving_default", "serving_tensor", "serving_ab"}


def test_versions_count_up_and_old_ones_stay(small, exported, monkeypatch):
    folder, first = exported
    monkeypatch.setattr(saved_model.parity, "PICTURES", 2)
    result = export_saved_model(small, folder, size=SIZE)
    assert [first["file"], result["file"]] == [str(folder / "1"), str(folder / "2")]
    assert sorted(p.name for p in folder.iterdir()) == ["1", "2"]
    card = json.loads(Path(result["file"], "assets.extra", "kcolor.json").read_text())
    assert card["name"] == "small"


def test_refused_export_leaves_no_folder(small, tmp_path, monkeypatch):
    figures = {"levels_max": 2, "levels_mean": 0.5}
    monkeypatch.setattr(saved_model, "verify", lambda *arguments: figures)
    with pytest.raises(DataError, match="largest difference 2 of 255 levels, limit 1"):
        export_saved_model(small, tmp_path / "kcolor", size=SIZE)
    assert not list(tmp_path.iterdir())


def test_file_in_place_of_the_folder_is_refused(small, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        export_saved_model(small, tmp_path / "file", size=SIZE)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("rest", [False, True])
def test_client_keeps_order_and_sizes(model, rest):
    with (rest_server if rest else grpc_server)(model) as address:
        answers = client.Client(address, rest=rest).colorize(mixed_request())
    sizes = [decoded(answer).shape[:2] for answer in answers]
    assert sizes == [(120, 80), (33, 47), (50, 81), (90, 60), (400, 600)]


def test_200_requests_of_8_threads_are_neither_lost_nor_mixed_up(model):
    sizes = [(16 + i % 23, 17 + i // 3 % 29) for i in range(200)]
    request = [png(random_image(*size, seed=i)) for i, size in enumerate(sizes)]
    with grpc_server(model) as address:
        shared = client.Client(address)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda p: shared.colorize([p])[0], request))
    assert model.requests == 200
    for content, answer in zip(request, answers, strict=True):
        before = split(tf.io.decode_png(content, channels=3))[0]
        after = split(tf.io.decode_png(answer))[0]
        assert before.shape == after.shape
        # Another picture of the same size would have another lightness.
        assert float(tf.reduce_mean(tf.abs(before - after))) * 50 < 0.5


@pytest.mark.parametrize("rest", [False, True])
def test_client_repeats_what_a_busy_server_refused(model, rest):
    model.failures = 2
    with (rest_server if rest else grpc_server)(model) as address:
        answers = client.Client(address, rest=rest).colorize(
            [png(random_image(20, 30))]
        )
    assert decoded(answers[0]).shape == (20, 30, 3)
    assert model.requests == 3


@pytest.mark.parametrize("rest", [False, True])
def test_client_gives_up_on_a_busy_server(model, rest):
    model.failures = 10
    with (rest_server if rest else grpc_server)(model) as address:
        with pytest.raises(client.ServingError, match="queue is full.*2 attempts"):
            client.Client(address, rest=rest, retries=1).colorize([b"x"])
    assert model.requests == 2


@pytest.mark.parametrize("rest", [False, True])
def test_client_keeps_its_timeout(model, rest):
    model.delay = 1.5
    with (rest_server if rest else grpc_server)(model) as address:
        slow = client.Client(address, rest=rest, timeout=0.4)
        with pytest.raises(client.ServingError, match="no answer in 0.4 s"):
            slow.colorize([png(random_image(20, 30))])


@pytest.mark.parametrize("rest", [False, True])
def test_client_says_which_picture_failed(model, rest):
    request = [png(random_image(20, 30)), b"text", png(random_image(9, 8))]
    with (rest_server if rest else grpc_server)(model) as address:
        with pytest.raises(
            client.PictureError, match="cannot decode picture 1 of"
        ) as e:
            client.Client(address, rest=rest).colorize(request)
    shapes = [decoded(answer).shape for answer in e.value.answers if answer]
    assert shapes == [(20, 30, 3), (9, 8, 3)]


@pytest.mark.parametrize("rest", [False, True])
def test_client_passes_the_servers_reason_on(model, rest):
    with (rest_server if rest else grpc_server)(model) as address:
        wrong = client.Client(address, rest=rest, model="other")
        with pytest.raises(client.ServingError, match="NOT_FOUND|404"):
            wrong.colorize([b"x"])
    assert model.requests == 1


@pytest.mark.parametrize("rest", [False, True])
def test_client_says_that_nobody_listens(rest):
    nobody = client.Client("127.0.0.1:9", rest=rest, retries=1, timeout=5)
    with pytest.raises(client.ServingError, match="127.0.0.1:9: .*2 attempts"):
        nobody.colorize([b"x"])


def test_client_turns_photographs_upright():
    from PIL import Image

    image = Image.fromarray(random_image(30, 50))
    exif = image.getexif()
    exif[0x0112] = 6
    import io

    turned, plain = io.BytesIO(), io.BytesIO()
    image.save(turned, "JPEG", exif=exif)
    image.save(plain, "JPEG")
    assert decoded(client.upright(turned.getvalue())).shape == (50, 30, 3)
    assert client.upright(plain.getvalue()) == plain.getvalue()


def test_client_command_writes_files_and_reports_bad_ones(model, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(png(random_image(20, 30)))
    (tmp_path / "b.jpg").write_text("text")
    out = tmp_path / "out"
    files = [str(tmp_path / "a.png"), str(tmp_path / "b.jpg")]
    with grpc_server(model) as address:
        code = client.main([*files, "-o", str(out), "--address", address])
    assert code == 1
    assert decoded((out / "a-color.png").read_bytes()).shape == (20, 30, 3)
    assert [p.name for p in out.iterdir()] == ["a-color.png"]
    assert "b.jpg: not a picture" in capsys.readouterr().err


@pytest.mark.parametrize("second", ["b/1.jpg", "a/1.jpg"])
def test_client_command_overwrites_nothing(tmp_path, capsys, monkeypatch, second):
    monkeypatch.setattr(client.Client, "colorize", lambda self, pictures: pictures)
    content = {name: png(random_image(4, 5, i)) for i, name in enumerate("abc")}
    files = [tmp_path / "a" / "1.png", tmp_path / second, tmp_path / "c.png"]
    for file, answer in zip(files, content.values(), strict=True):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(answer)
    out = tmp_path / "out"
    assert client.main([*map(str, files), "-o", str(out)]) == 1
    said = capsys.readouterr()
    assert said.out.split() == [str(out / "1-color.png"), str(out / "c-color.png")]
    assert said.err.splitlines() == [
        f"{files[1]}: {out}/1-color is {files[0]}'s name; colorize them apart"
    ]
    assert (out / "1-color.png").read_bytes() == content["a"]

    later = [str(files[1]), "-o", str(out)]
    assert client.main(later) == 1
    said = capsys.readouterr()
    assert not said.out and f"{out}/1-color.png exists" in said.err
    assert (out / "1-color.png").read_bytes() == content["a"]
    assert client.main([*later, "--overwrite"]) == 0
    assert (out / "1-color.png").read_bytes() == content["b"]


def test_model_configuration_parses():
    config = text_format.Parse(
        (KIT / "config" / "models.config").read_text(),
        model_server_config_pb2.ModelServerConfig(),
    )
    (entry,) = config.model_config_list.config
    assert entry.name == "kcolor"
    assert entry.model_version_policy.latest.num_versions == 2


def test_compose_file_mounts_what_the_configuration_names():
    yaml = pytest.importorskip("yaml")
    service = yaml.safe_load((KIT / "docker-compose.yml").read_text())["services"]
    service = service["serving"]
    mounted = {v.split(":")[1]: v.split(":")[0] for v in service["volumes"]}
    for flag in service["command"]:
        if "=/config/" in flag:
            name = flag.split("=/config/")[1]
            assert (KIT / mounted["/config"] / name).is_file(), flag
    models = (KIT / "config" / "models.config").read_text()
    assert f'base_path: "{next(m for m in mounted if m == "/models")}/kcolor"' in models
