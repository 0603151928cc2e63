"""Tests for recipes/amx/: it trains what `kcolor fit` trains."""

import importlib
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from photographs import photograph

from kcolor.errors import DataError
from kcolor.losses import ColorizationLoss
from kcolor.metrics.lpips import build_lpips, find_weights
from kcolor.models.mobile import build_mobile
from kcolor.models.surgery import (
    batch_norm_sources,
    fold_batch_norm,
    leaf_layers,
    under_policy,
)
from kcolor.training.options import FitOptions

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("ninja", reason="ninja, which compiles the kernels, is missing")
if "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
    pytest.skip("this processor has no AVX-512 for bfloat16", allow_module_level=True)
pytestmark = [
    pytest.mark.slow,
    # PyTorch's compiler warns of its own doing.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def amx():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "recipes"))
    try:
        names = ("layers", "network", "loss", "fit")
        return {name: importlib.import_module(f"amx.{name}") for name in names}
    finally:
        del sys.path[0]


@pytest.fixture(scope="module")
def model():
    """A network that answers colors, its BatchNorm as after some training."""
    network = build_mobile("efficientnet_lite0", "none", known=True)
    rng = np.random.default_rng(3)
    for layer in leaf_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    rng.uniform(0.8, 1.2, gamma.shape),
                    rng.normal(0, 0.1, beta.shape),
                    rng.normal(0, 0.1, mean.shape),
                    rng.uniform(0.5, 1.5, variance.shape),
                ]
            )
        elif layer.name == "head" or layer.name.endswith("_known"):
            layer.set_weights([rng.normal(0, 0.05, v.shape) for v in layer.weights])
    return network


@pytest.fixture
def folded(request, model):
    """The network as files leave it: BatchNorm folded in nothing, the encoder, all."""
    if request.param == "nothing":
        return model
    biases = {
        f"{source}/bias"
        for source in batch_norm_sources(model).values()
        if request.param == "all" or not source.startswith("decoder")
    }
    network = fold_batch_norm(model, biases)
    assert len(batch_norm_sources(network)) == (0 if request.param == "all" else 4)
    rng = np.random.default_rng(4)
    trained = {layer.name: layer for layer in leaf_layers(model)}
    for layer in leaf_layers(network):
        weights = trained[layer.name].get_weights()
        if len(weights) < len(layer.weights):
            weights.append(rng.normal(0, 0.1, layer.bias.shape))
        layer.set_weights(weights)
    return network


def inputs(size=128):
    gray = np.stack([photograph(size, size, seed)[..., :1] for seed in range(4)])
    lightness = gray.astype("float32") / 127.5 - 1
    known = np.zeros((4, size, size, 3), "float32")
    known[1:, 20:26, 30:36] = [0.3, -0.2, 1.0]
    return lightness, known


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 12])
def test_depthwise_convolutions_and_gradients_are_pytorchs(amx, kernel, stride, side):
    torch.manual_seed(0)
    x = torch.randn(2, side, side, 32).bfloat16().requires_grad_()
    weights = (torch.randn(kernel**2, 32) * 0.3).requires_grad_()
    bias = torch.randn(32).requires_grad_()
    y = amx["layers"].depthwise(x, weights, bias, kernel, stride)
    toward = torch.randn_like(y)
    y.backward(toward)
    wide, same, shift = (
        v.detach().float().requires_grad_() for v in (x, weights, bias)
    )
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    pad = (total // 2, total - total // 2) * 2
    expected = torch.nn.functional.conv2d(
        torch.nn.functional.pad(wide.permute(0, 3, 1, 2), pad),
        same.t().reshape(32, 1, kernel, kernel),
        shift,
        stride,
        groups=32,
    )
    expected = expected.permute(0, 2, 3, 1)
    # Where rounding puts a value on the other side of a bound, gradients may differ.
    inside = ((y > 0.05) & (y < 5.9)) | (expected < -0.05) | (expected > 6.1)
    assert inside.float().mean() > 0.9
    bounded = expected.clamp(0, 6)
    torch.testing.assert_close(y.float(), bounded, atol=0.03, rtol=0.01)
    bounded.backward(toward.float())
    for own, reference in ((x, wide), (weights, same), (bias, shift)):
        error = (own.grad.float() - reference.grad).norm() / reference.grad.norm()
        assert error < 0.05


def test_enlarging_has_pytorchs_gradient(amx):
    torch.manual_seed(0)
    x = torch.randn(2, 32, 5, 8).contiguous(memory_format=torch.channels_last)
    own, reference = (
        x.bfloat16().requires_grad_(),
        x.bfloat16().float().requires_grad_(),
    )
    expected = torch.nn.functional.interpolate(
        reference, scale_factor=2, mode="bilinear"
    )
    toward = torch.randn_like(expected).bfloat16()
    amx["layers"].enlarge(own).backward(toward)
    expected.backward(toward.float())
    torch.testing.assert_close(own.grad.float(), reference.grad, atol=0.03, rtol=0.01)


@pytest.mark.parametrize("folded", ["nothing", "encoder", "all"], indirect=True)
def test_the_network_answers_as_in_keras(amx, folded):
    network = amx["network"].Network(folded, freeze_levels=2)
    lightness, known = inputs()
    network.measure_batch_norm([[torch.tensor(lightness), torch.tensor(known)]])
    with torch.no_grad():
        trained = network(torch.tensor(lightness), torch.tensor(known)).numpy()
    network.to_keras()
    seen = {"lightness": lightness, "known": known}
    answer = folded.predict_on_batch(seen)
    rounded = under_policy(folded, "mixed_bfloat16").predict_on_batch(seen)
    # Weights by chance make much of rounding; no more of ours than of Keras' own.
    error, expected = (np.abs(each - answer).mean() for each in (trained, rounded))
    assert error < 1.5 * expected
    assert error < 0.3 * answer.std()


@pytest.mark.parametrize("folded", ["nothing", "encoder", "all"], indirect=True)
def test_what_is_frozen_stays_and_all_else_moves(amx, folded):
    network = amx["network"].Network(folded, freeze_levels=2)
    names = set(network.trained())
    fixed = ("stem", "block1", "block2")
    assert not [name for name in names if name.startswith(fixed) or "moving" in name]
    lightness, known = inputs()
    ab = network(torch.tensor(lightness), torch.tensor(known))
    ab.square().mean().backward()
    for name, value in network.trained().items():
        assert value.grad is not None and value.grad.abs().max() > 0, name


@pytest.mark.parametrize("psnr, layers", [(0.0, 3), (2.0, 3), (2.0, 5)])
def test_the_loss_is_kcolors(amx, psnr, layers):
    path = find_weights(None)
    if path is None:
        pytest.skip("there are no parameters of LPIPS")
    rng = np.random.default_rng(2)
    target = rng.uniform(-0.5, 0.5, (4, 64, 64, 3)).astype("float32")
    target[..., 1:] *= 0.3
    ab = (target[..., 1:] * 0.5).astype("float32")
    options = FitOptions(
        "mobile",
        "",
        perceptual=0.5,
        perceptual_layers=layers,
        colorfulness=0.1,
        psnr=psnr,
    )
    own = amx["loss"].Loss(options, path)(torch.tensor(target), torch.tensor(ab))
    lpips = build_lpips(path, layers=layers)
    expected = ColorizationLoss("l1", 0.5, 0.1, lpips, psnr=psnr)
    assert float(own) == pytest.approx(float(expected(target, ab)), rel=0.01)


def test_a_stage_that_was_broken_off_goes_on(amx, model, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(8):
        cv2.imwrite(str(photos / f"{number}.png"), photograph(70, 90, seed=number))
    model.save(tmp_path / "start.keras")

    def options(run, resume=False):
        return FitOptions(
            "mobile",
            tmp_path / run,
            data=photos,
            val_data=photos,
            init_from=tmp_path / "start.keras",
            loss="l1",
            hints_share=0.5,
            size=64,
            batch_size=4,
            steps_per_epoch=2,
            epochs=3,
            freeze_levels=2,
            learning_rate=1e-4,
            resume=resume,
        )

    fit, training = amx["fit"].fit, amx["fit"]._Training
    whole = fit(options("whole"))
    assert [row["epoch"] for row in whole] == [1, 2, 3]
    assert whole[-1]["learning_rate"] < whole[0]["learning_rate"]
    run_epoch = training.run_epoch

    def breaks_off(self):
        if self.epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(training, "run_epoch", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        fit(options("broken"))
    monkeypatch.setattr(training, "run_epoch", run_epoch)
    resumed = fit(options("broken", resume=True))
    for row, expected in zip(resumed, whole, strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert row["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-3)
    sheets = sorted(path.name for path in (tmp_path / "broken" / "samples").iterdir())
    assert sheets == [f"epoch-{number:04d}.png" for number in (1, 2, 3)]
    with pytest.raises(DataError, match="whole: holds a run already"):
        fit(options("whole"))
    trained = keras.saving.load_model(tmp_path / "broken" / "model.keras")
    before = model.get_layer("decoder_p2_conv").get_weights()[0]
    after = trained.get_layer("decoder_p2_conv").get_weights()[0]
    assert 0 < np.abs(after - before).max() < 0.01


def test_what_it_does_not_train_is_refused(amx, tmp_path):
    with pytest.raises(ValueError, match="takes `loss`='l1' alone. Received: 'l2'"):
        amx["fit"].fit(FitOptions("mobile", tmp_path, data=tmp_path))
    with pytest.raises(ValueError, match="needs `steps_per_epoch`"):
        amx["fit"].fit(FitOptions("mobile", tmp_path, data=tmp_path, loss="l1"))
