"""`mobile` on EfficientNet-Lite0, as PyTorch trains it in bfloat16.

What a reader would get wrong: the statistics of the encoder's BatchNorm stay as they
are, so that each is a scale and an offset of the convolution before it, and costs
nothing. Those of the decoder follow the batches, as in `kcolor fit`.
"""

from collections.abc import Iterable

import keras
import numpy as np
import torch
from amx.layers import depthwise, enlarge, pointwise
from torch.nn import functional

from kcolor.models.efficientnet_lite import STAGES
from kcolor.models.surgery import leaf_layers

# The last stage below each level of the pyramid that training can freeze.
_LAST_STAGES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 5, 5: 7}
_EPSILON = 1e-3


class Network:
    """The network's variables, under their names in Keras, and what it answers."""

    def __init__(self, model: keras.Model, freeze_levels: int) -> None:
        """Takes the values of a `keras.Model` as `build_mobile` gives it.

        Args:
            model: On efficientnet_lite0, with BatchNorm or with the biases that it
                was folded into, with the input `known` or without.
            freeze_levels: Pyramid level up to which the encoder is frozen, 0 to 5.
        """
        self.model = model
        self.freeze_stages = _LAST_STAGES[freeze_levels]
        self.values = {
            f"{layer.name}/{variable.name}": _from_keras(layer, np.asarray(variable))
            for layer in leaf_layers(model)
            for variable in layer.weights
        }
        frozen = tuple(f"block{n}" for n in range(1, self.freeze_stages + 1))
        for name, value in self.values.items():
            fixed = name.startswith(("stem", *frozen)) or "/moving_" in name
            value.requires_grad_(not fixed)
        # Moments of each decoder block's features, while they are measured.
        self._moments = None

    def trained(self) -> dict[str, torch.Tensor]:
        """Returns the variables that train, by name."""
        return {k: v for k, v in self.values.items() if v.requires_grad}

    def to_keras(self) -> keras.Model:
        """Puts the values back into the `keras.Model` and returns it."""
        for layer in leaf_layers(self.model):
            for variable in layer.weights:
                value = self.values[f"{layer.name}/{variable.name}"].detach()
                variable.assign(_to_keras(layer, value, tuple(variable.shape)))
        return self.model

    @torch.no_grad()
    def measure_batch_norm(self, batches: Iterable[list[torch.Tensor]]) -> None:
        """Measures the statistics of the decoder's BatchNorm on batches of inputs."""
        if "decoder_p5_bn/gamma" not in self.values:  # folded: there are none
            return
        self._moments = {}
        for inputs in batches:
            self(*inputs)
        for name, moments in self._moments.items():
            mean, square = torch.stack(moments).mean(0)
            self.values[f"{name}/moving_mean"].copy_(mean)
            self.values[f"{name}/moving_variance"].copy_(square - mean * mean)
        self._moments = None

    def __call__(
        self, lightness: torch.Tensor, known: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Predicts ab, float32 `(N, H, W, 2)`, as training sees it.

        Args:
            lightness: float32 `(N, H, W, 1)`.
            known: float32 `(N, H, W, 3)`; None for a network without that input.
        """
        levels = {} if known is None else _known_levels(known)
        p2, p3, p4, p5 = self._encode(lightness)
        x = self._block(p5, levels, "p5")
        context = functional.linear(
            x.float().mean((2, 3)),
            self.values["context/kernel"],
            self.values["context/bias"],
        )
        x = x + functional.relu(context).to(x.dtype)[:, :, None, None]
        for level, skip in (("p4", p4), ("p3", p3), ("p2", p2)):
            x = self._block(torch.cat([enlarge(x), skip], 1), levels, level)
        ab = functional.conv2d(x, self.values["head/kernel"].bfloat16(), padding=1)
        ab = ab.float() + self.values["head/bias"].view(1, 2, 1, 1)
        ab = functional.interpolate(ab, scale_factor=4, mode="bilinear")
        return ab.permute(0, 2, 3, 1)

    def _encode(self, lightness):
        with torch.no_grad():
            weights, bias = self._folded("stem_conv", "stem_bn")
            # Its three inputs are the same gray; TensorFlow pads behind alone.
            x = functional.pad(lightness.permute(0, 3, 1, 2), (0, 1, 0, 1))
            x = functional.conv2d(x, weights.sum(1, keepdim=True), bias, 2)
            x = x.clamp_(0, 6).permute(0, 2, 3, 1).bfloat16().contiguous()
        levels = []
        for number, (kernel, stride, expansion, _, count) in enumerate(STAGES, 1):
            with torch.set_grad_enabled(number > self.freeze_stages):
                for block in range(count):
                    own_stride = stride if block == 0 else 1
                    if own_stride == 2:
                        levels.append(x.permute(0, 3, 1, 2))
                    name = f"block{number}{'abcd'[block]}"
                    x = self._bottleneck(x, name, kernel, own_stride, expansion)
        return [*levels[1:], x.permute(0, 3, 1, 2)]

    def _bottleneck(self, x, name, kernel, stride, expansion):
        y = x
        if expansion > 1:
            folded = self._folded(f"{name}_expand_conv", f"{name}_expand_bn")
            y = pointwise(y, *folded, bounded=True)
        folded = self._folded(f"{name}_dwconv", f"{name}_bn")
        y = depthwise(y, *folded, kernel, stride)
        folded = self._folded(f"{name}_project_conv", f"{name}_project_bn")
        y = pointwise(y, *folded, bounded=False)
        return x + y if stride == 1 and y.shape == x.shape else y

    def _folded(self, convolution, norm):
        kernel, values = self.values[f"{convolution}/kernel"], self.values
        if f"{norm}/gamma" not in values:
            return kernel, values[f"{convolution}/bias"]
        scale = torch.rsqrt(values[f"{norm}/moving_variance"] + _EPSILON)
        scale = scale * values[f"{norm}/gamma"]
        offset = values[f"{norm}/beta"] - values[f"{norm}/moving_mean"] * scale
        if "dwconv" in convolution:  # the channels are its last axis
            return kernel * scale, offset
        return kernel * scale.view(-1, *[1] * (kernel.ndim - 1)), offset

    def _block(self, x, levels, level):
        name = f"decoder_{level}"
        x = self._convolution(x, f"{name}_conv")
        if f"{name}_bn/gamma" in self.values:
            x = self._normalized(x, f"{name}_bn")
        else:
            x = x + self.values[f"{name}_conv/bias"].to(x.dtype).view(1, -1, 1, 1)
        if levels:
            x = x + self._convolution(levels[level], f"{name}_known")
        return functional.relu6(x)

    def _normalized(self, x, name):
        if self._moments is not None:
            wide = x.float()
            moments = torch.stack([wide.mean((0, 2, 3)), wide.square().mean((0, 2, 3))])
            self._moments.setdefault(name, []).append(moments)
        names = ("moving_mean", "moving_variance", "gamma", "beta")
        norm = [self.values[f"{name}/{part}"] for part in names]
        return functional.batch_norm(
            x, *norm, training=True, momentum=0.1, eps=_EPSILON
        )

    def _convolution(self, x, name):
        kernel = self.values[f"{name}/kernel"].bfloat16()
        if kernel.ndim == 2:
            kernel = kernel[:, :, None, None]
        return functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


@torch.no_grad()
def _known_levels(known):
    """Pools known colors as `kcolor.models.known.known_levels`, to bfloat16."""
    known = known.permute(0, 3, 1, 2)

    def cells(pooled):
        share = pooled[:, 2:]
        here = (share > 0).float()
        return torch.cat([pooled[:, :2] / (share + 1 - here), here], 1)

    halved = torch.tensor([1.0, 1.0, 0.5]).view(1, 3, 1, 1)
    filled = cells(known.mean((2, 3), keepdim=True))
    levels = {}
    for level in (5, 4, 3, 2):
        fine = cells(functional.avg_pool2d(known, 2**level))
        if level < 5:
            filled = functional.interpolate(filled, scale_factor=2, mode="bilinear")
        filled = fine + (1 - fine[:, 2:]) * filled * halved
        levels[f"p{level}"] = filled.bfloat16().contiguous(
            memory_format=torch.channels_last
        )
    return levels


def _from_keras(layer, value):
    value = torch.tensor(value, dtype=torch.float32)
    if value.ndim != 4:
        return value
    side, _, inputs, outputs = value.shape
    if "dwconv" in layer.name:
        return value.reshape(side * side, inputs)
    if side == 1:
        return value.reshape(inputs, outputs).t().contiguous()
    return value.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def _to_keras(layer, value, shape):
    if len(shape) == 4 and "dwconv" not in layer.name:
        value = value.t() if value.ndim == 2 else value.permute(2, 3, 1, 0)
    return value.reshape(shape).numpy()
