"""Tests for kcolor.training.fit: run folder, exact resume, starts, odd files."""

import json
import os
import random
import shutil
from dataclasses import fields
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import skimage
from PIL import Image

from kcolor.errors import DataError
from kcolor.models import build_mobile, build_unet
from kcolor.models.blocks import ab_head, upsample
from kcolor.runtimes.keras import load_model
from kcolor.runtimes.run_folder import read_history
from kcolor.training import epoch_end, options, trainer
from kcolor.training import fit as fit_module
from kcolor.training.fit import fit
from kcolor.training.options import FitOptions, SystemDefaults
from kcolor.training.run_folder import resumed_options

SMALL = dict(size=32, batch_size=2, steps_per_epoch=3, val_images=2)


def train(run, system="mobile", **choices):
    """Trains with these options."""
    return fit(FitOptions(system, run, **choices))


def build_tiny(backbone, backbone_weights):
    """A system of a few layers: what is tested here is `fit`, not the networks."""
    lightness = keras.Input((None, None, 1), name="encoder_lightness")
    levels, x = [], lightness
    for level in range(1, 6):
        x = keras.layers.Conv2D(4, 3, 2, "same", name=f"conv{level}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{level}")(x)
        levels.append(x)
    encoder = keras.Model(lightness, levels, name="encoder")
    inputs = keras.Input((None, None, 1), name="lightness")
    p1, *_, p5 = encoder(inputs)
    x = keras.layers.Concatenate()([upsample(p5, "up5", 16), p1])
    return keras.Model(inputs, ab_head(upsample(x, "up1")))


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(trainer.BUILDERS, "mobile", build_tiny)
        patch.setitem(options.SYSTEMS, "mobile", SystemDefaults("none"))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An unbroken run of three epochs on scikit-image's photographs."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(run, epochs=3, **SMALL)
    return run


def test_run_folder_holds_everything_that_was_promised(finished):
    config = json.loads((finished / "config.json").read_text())
    assert set(config["arguments"]) == {option.name for option in fields(FitOptions)}
    assert config["arguments"]["size"] == 32
    assert config["versions"]["keras"] == keras.__version__
    assert len(config["files_sha256"]["train"]) == 64
    history = read_history(finished)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(np.isfinite(row["val_psnr"]) for row in history)
    sheet = cv2.imread(str(finished / "samples" / "epoch-0003.png"))
    assert sheet.shape[1] == 3 * 32  # gray | predicted | truth
    assert list((finished / "logs").glob("events.out.tfevents.*"))
    assert not list(finished.rglob(".*"))  # no temporary file stays


def test_killed_run_resumes_to_the_same_history(finished, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    class StopInEpochTwo(epoch_end.StopAtNaN):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == (1, 1):
                raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(fit_module, "StopAtNaN", StopInEpochTwo)
        train(tmp_path / "run", epochs=3, **SMALL)
    assert len(read_history(tmp_path / "run")) == 1
    train(tmp_path / "run", epochs=3, resume=True, **SMALL)
    expected, resumed = read_history(finished), read_history(tmp_path / "run")
    for one, two in zip(expected, resumed, strict=True):
        one.pop("images_per_second"), two.pop("images_per_second")
        assert one == pytest.approx(two, abs=1e-4)
    lightness = np.random.default_rng(0).uniform(-1, 1, (1, 32, 64, 1))
    outputs = [load_model(run)(lightness) for run in (finished, tmp_path / "run")]
    np.testing.assert_allclose(*outputs, atol=1e-4)


def test_resume_across_the_end_of_freezing_equals_an_unbroken_run(tmp_path):
    arguments = {**SMALL, "freeze_epochs": 1, "ema": 0.5}
    train(tmp_path / "whole", epochs=2, **arguments)
    whole = read_history(tmp_path / "whole")
    for path in (tmp_path / "whole" / "checkpoints").glob("epoch-0002*"):
        path.unlink()  # as if killed after the first epoch
    train(tmp_path / "whole", epochs=2, resume=True, **arguments)
    resumed = read_history(tmp_path / "whole")
    assert resumed[-1]["loss"] == pytest.approx(whole[-1]["loss"], abs=1e-4)
    assert resumed[-1]["val_loss"] == pytest.approx(whole[-1]["val_loss"], abs=1e-4)


def test_resuming_a_finished_run_changes_nothing(finished):
    before = (finished / "history.csv").read_bytes()
    train(finished, epochs=3, resume=True, **SMALL)
    assert (finished / "history.csv").read_bytes() == before


def test_resume_with_another_argument_is_refused(finished):
    with pytest.raises(ValueError, match="started with batch_size=2.*Received: 4"):
        train(finished, epochs=3, resume=True, **{**SMALL, "batch_size": 4})


def test_resume_with_other_pictures_to_validate_on_is_refused(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = json.loads((run / "config.json").read_text())
    config["files_sha256"]["validation"] = "0" * 64
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="list of validation pictures is not the run's"):
        train(run, epochs=3, resume=True, **SMALL)
    # Who asks for another number of them knows that they are others.
    train(run, epochs=3, resume=True, **{**SMALL, "val_images": 1})


def test_a_run_is_never_overwritten(finished):
    with pytest.raises(DataError, match="holds a run already"):
        train(finished, epochs=3, **SMALL)


def test_a_run_of_the_code_before_the_options_class_is_resumed(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = json.loads((run / "config.json").read_text())
    # As version 0.1.0 wrote it, before FitOptions was.
    old = json.loads((Path(__file__).parent / "config-0.1.0.json").read_text())
    old["arguments"].update(epochs=3, run=str(run))
    old["files_sha256"] = config["files_sha256"]
    (run / "config.json").write_text(json.dumps(old))
    history = fit(resumed_options(run, epochs=4))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[:3] == read_history(finished)


def test_a_run_of_a_version_with_other_options_is_refused(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = json.loads((run / "config.json").read_text())
    config["arguments"]["dropout"] = 0.5
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="another version of kcolor.*: dropout$"):
        resumed_options(run)
    with pytest.raises(DataError, match="another version of kcolor.*: dropout$"):
        train(run, epochs=3, resume=True, **SMALL)


def test_nothing_that_belongs_to_the_process_changes(tmp_path):
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    threads = cv2.getNumThreads()
    train(tmp_path / "run", epochs=1, precision="mixed_bfloat16", **SMALL)
    assert (random.random(), np.random.random()) == expected
    assert keras.config.dtype_policy().name == "float32"
    assert cv2.getNumThreads() == threads


def test_a_start_of_another_system_is_refused(tmp_path):
    with pytest.raises(ValueError, match="system unet. Received: mobile, which holds"):
        train(tmp_path / "run", "unet", epochs=1, init_from="mobile", **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_start_on_another_backbone_is_refused(tmp_path):
    start = tmp_path / "start.keras"
    build_mobile().save(start)
    arguments = {**SMALL, "epochs": 1, "init_from": start}
    with pytest.raises(ValueError, match="on the backbone efficientnet_lite0; leave"):
        train(tmp_path / "run", backbone="efficientnet_lite0", **arguments)
    assert not (tmp_path / "run").exists()


def test_a_start_that_cannot_be_read_leaves_no_run(tmp_path):
    for name in ("init_from", "teacher"):
        with pytest.raises(DataError, match="nowhere.keras: no such file"):
            arguments = {**SMALL, name: "nowhere.keras"}
            train(tmp_path / "run", epochs=1, **arguments)
    assert not (tmp_path / "run").exists()


def test_more_frozen_levels_than_there_are_leave_no_run(tmp_path):
    with pytest.raises(ValueError, match="`freeze_levels` must be 0 to 5. Received: 9"):
        train(tmp_path / "run", epochs=1, freeze_levels=9, **SMALL)
    assert not (tmp_path / "run").exists()


def test_validation_counts_no_picture_without_color(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    color = skimage.data.astronaut()[::8, ::8]
    gray = np.repeat(color[..., :1], 3, axis=2)
    for number, rgb in enumerate((color, gray)):
        Image.fromarray(rgb).save(photos / f"{number}.png")
    # A name as other systems' archives have it: not UTF-8.
    Image.fromarray(color).save(photos / os.fsdecode(b"caf\xe9.png"))
    run = tmp_path / "run"
    (row,) = train(run, epochs=1, data=photos, val_data=photos, **SMALL)
    assert 0 < row["val_psnr_gray"] < 50 and 0 < row["val_psnr"] < 50
    assert b"caf\xe9.png" in (run / "train_files.txt").read_bytes()


def test_nan_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    arguments = {**SMALL, "learning_rate": 1e38, "clip_norm": 0, "warmup_steps": 0}
    with pytest.raises(DataError, match="the loss became .* at step"):
        train(tmp_path / "run", epochs=4, **arguments)


def test_an_unreadable_picture_is_named(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), "uint8")
    for i in range(5):
        cv2.imwrite(str(folder / f"{i}.png"), pixels)
    for path in folder.glob("[0-3].png"):
        path.write_bytes(b"no picture")
    arguments = {**SMALL, "data": [folder], "val_data": folder / "4"}
    (folder / "4").mkdir()
    cv2.imwrite(str(folder / "4" / "a.png"), pixels)
    with pytest.raises(DataError, match=r"[0-3].png: not a readable picture"):
        train(tmp_path / "run", **arguments)


def test_frozen_layers_stay_bit_equal_while_the_decoder_moves(tmp_path):
    start = tmp_path / "start.keras"
    build_tiny(None, None).save(start)
    arguments = {**SMALL, "freeze_epochs": 1, "ema": 0.0, "init_from": start}
    train(tmp_path / "run", epochs=1, **arguments)
    before, after = (
        keras.models.load_model(p, compile=False)
        for p in (start, tmp_path / "run" / "model.keras")
    )
    encoder = {v.path for v in before.get_layer("encoder").weights}
    for one, two in zip(before.weights, after.weights, strict=True):
        if one.path in encoder:
            np.testing.assert_array_equal(one, two)
    assert np.any(after.get_layer("ab").kernel)


def test_a_start_from_another_precision_trains_in_the_chosen_one(tmp_path):
    start = tmp_path / "start.keras"
    build_tiny(None, None).save(start)
    arguments = {**SMALL, "precision": "mixed_bfloat16", "init_from": start}
    train(tmp_path / "run", epochs=1, **arguments)
    trained = load_model(tmp_path / "run")
    assert trained.get_layer("encoder").get_layer("conv1").compute_dtype == "bfloat16"
    assert trained.get_layer("ab").compute_dtype == "float32"


def test_a_gray_teacher_alone_teaches_gray(tmp_path):
    gray = tmp_path / "gray.keras"
    build_tiny(None, None).save(gray)  # its head starts at zero
    arguments = {**SMALL, "teacher": gray, "teacher_weight": 1.0}
    history = train(tmp_path / "run", epochs=1, **arguments)
    assert history[-1]["loss"] == 0
    assert history[-1]["val_loss"] > 0


@pytest.mark.parametrize("system", ["mobile", "pix2pix"])
def test_a_real_system_trains_and_loads(system, tmp_path, monkeypatch):
    monkeypatch.setitem(trainer.BUILDERS, "mobile", build_mobile)
    history = train(
        tmp_path / "run",
        system,
        epochs=1,
        backbone="mobilenet_v2",
        backbone_weights="none",
        **SMALL,
    )
    assert np.isfinite(history[-1]["loss"])
    model = load_model(tmp_path / "run")
    # 4 bytes a parameter and some names: no optimizer, which would take 12 more.
    size = (tmp_path / "run" / "model.keras").stat().st_size
    assert size < 1.2 * 4 * model.count_params()
    output = model(np.zeros((1, 32, 64, 1), "float32"))
    assert output.shape == (1, 32, 64, 2)


@pytest.mark.slow
def test_unet_overfits_one_batch_beyond_32_db():
    """Measured with sixteen pieces of scikit-image's photographs."""
    from kcolor.color.graph import join, split
    from kcolor.data.source import open_source
    from kcolor.images.resize import resize_square
    from kcolor.metrics.psnr import psnr

    source = open_source(None)
    pictures = [source.read(i) for i in range(len(source))]
    half = [(p[: len(p) // 2], p[len(p) // 2 :]) for p in pictures]
    third = [p[:, : p.shape[1] // 2] for p in pictures]
    pieces = [part for pair in half for part in pair] + third
    rgb = np.stack([resize_square(p, 64) for p in pieces[:16]])
    lightness, ab = split(rgb)
    model = build_unet("resnet18")
    model.compile(keras.optimizers.Adam(2e-3), "mae", jit_compile=False)
    model.fit(lightness, ab, batch_size=16, epochs=300, verbose=0)
    result = join(lightness, model(lightness, training=True))
    assert np.mean(psnr(rgb, np.asarray(result))) > 32


def save_odd_files(folder, largest=(1200, 800)):
    """Writes what real folders hold: three of these cannot be read."""
    rgb = skimage.data.astronaut()[::4, ::4]
    image = Image.fromarray(rgb)
    image.save(folder / "truncated.jpg")
    whole = (folder / "truncated.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "gone.jpg").symlink_to(folder / "nothing.jpg")
    cv2.imwrite(str(folder / "16 bits.png"), rgb.astype(np.uint16) * 257)
    image.convert("CMYK").save(folder / "cmyk.jpg")
    transparent = image.copy()
    transparent.putalpha(128)
    transparent.quantize(64, method=2).save(folder / "palette.png")
    Image.new("RGB", (1, 1), "red").save(folder / "1x1.png")
    Image.new("RGB", largest, "teal").save(folder / "large.png")
    image.save(folder / "Été à la plage (1).jpg")
    return {"truncated.jpg", "text.png", "gone.jpg"}


@pytest.mark.parametrize(
    "largest", [(1200, 800), pytest.param((12000, 8000), marks=pytest.mark.slow)]
)
def test_a_folder_of_odd_files_trains_and_names_the_bad_ones(largest, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    bad = save_odd_files(photos, largest)
    pieces = skimage.data.coffee()[: 5 * 80, : 7 * 80].reshape(5, 80, 7, 80, 3)
    for i, piece in enumerate(np.concatenate(pieces.swapaxes(1, 2)).repeat(2, 0)):
        Image.fromarray(piece).save(photos / f"{i:02d}.jpg")
    history = train(
        tmp_path / "run",
        data=photos,
        size=32,
        batch_size=8,
        epochs=1,
        cache="disk",
    )
    assert np.isfinite(history[-1]["loss"])
    lines = (tmp_path / "run" / "bad_files.txt").read_text().splitlines()
    assert {line.split(": ")[1] for line in lines} == bad


def test_over_five_percent_of_bad_files_stop_the_run(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    save_odd_files(photos)
    with pytest.raises(DataError, match="over 5% of .*bad_files.txt"):
        train(tmp_path / "run", data=photos, size=32, batch_size=4, epochs=2)


def test_near_gray_pictures_are_left_out_of_training_alone(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(8):
        rgb = np.random.default_rng(i).integers(0, 256, (40, 40, 3), "uint8")
        Image.fromarray(rgb if i % 2 else rgb[..., :1].repeat(3, 2)).save(
            photos / f"{i}.png"
        )
    arguments = {**SMALL, "epochs": 1, "val_fraction": 0.5, "val_images": 8}
    train(tmp_path / "all", data=photos, **arguments)
    train(tmp_path / "some", data=photos, min_colorfulness=15, **arguments)

    def files(run, part):
        return (tmp_path / run / f"{part}_files.txt").read_text().split()

    assert files("all", "validation") == files("some", "validation")
    colorful = [f for f in files("all", "train") if int(f[0]) % 2]
    assert files("some", "train") == colorful
    assert len(colorful) < len(files("all", "train"))
