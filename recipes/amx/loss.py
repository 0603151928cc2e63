"""`kcolor.losses.ColorizationLoss` with `"l1"`, as PyTorch compiles it.

LPIPS' convolutions compute in bfloat16; everything else in float32.
"""

from pathlib import Path

import torch
from torch.nn import functional

from kcolor.color.constants import (
    AB_MAX,
    AB_MIN,
    AB_SCALE,
    DELTA,
    LIGHTNESS_SCALE,
    WHITE_XYZ_TO_RGB,
)
from kcolor.losses import PSNR_FLOOR
from kcolor.metrics.lpips import SCALE, SHIFT
from kcolor.models.weights import read_safetensors
from kcolor.training.options import FitOptions

# Number in torchvision's `features`, stride, padding, and whether pooling precedes it.
_CONVOLUTIONS = (
    (0, 4, 2, False),
    (3, 1, 2, True),
    (6, 1, 1, True),
    (8, 1, 1, False),
    (10, 1, 1, False),
)


class Loss:
    """`ColorizationLoss("l1")` with its terms."""

    def __init__(self, options: FitOptions, lpips_file: Path) -> None:
        """Takes the weights of the terms from `FitOptions`."""
        self.options = options
        self.convolutions = _CONVOLUTIONS[: options.perceptual_layers]
        self.weights = {
            name: torch.tensor(value, dtype=torch.float32)
            for name, value in read_safetensors(lpips_file).items()
        }

    def __call__(self, target: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
        """Compares `(N, H, W, 3)`, lightness and ab, with ab `(N, H, W, 2)`."""
        loss = (target[..., 1:] - ab).abs().mean()
        half = max(1, round(len(ab) * 0.5))
        if not self.options.psnr:
            target, ab = target[:half], ab[:half]
        lightness = target[..., 0]
        with torch.no_grad():
            truth = _recompose(lightness, target[..., 1:])
            features = self._features(truth[:half])
            color = _colorfulness(truth[:half])
        picture = _recompose(lightness, ab)
        if self.options.psnr:
            error = (truth - picture).square().mean((1, 2, 3))
            lacking = torch.log10(error + PSNR_FLOOR).mean() / 10
            loss = loss + self.options.psnr * lacking
            picture = picture[:half]
        if self.options.perceptual:
            pairs = zip(features, self._features(picture), strict=True)
            distances = [
                _distance(a, b, self.weights[f"lin{i}.weight"])
                for i, (a, b) in enumerate(pairs)
            ]
            loss = loss + self.options.perceptual * sum(distances)
        lack = functional.relu(color - _colorfulness(picture)).mean()
        return loss + self.options.colorfulness * 2.55 * lack

    def _features(self, rgb):
        shift, scale = (torch.tensor(v).view(1, 3, 1, 1) for v in (SHIFT, SCALE))
        x = ((rgb * 2 - 1 - shift) / scale).bfloat16()
        x = x.contiguous(memory_format=torch.channels_last)
        layers = []
        for number, stride, padding, pooled in self.convolutions:
            if pooled:
                x = functional.max_pool2d(x, 3, 2)
            name = f"features.{number}"
            kernel, bias = (
                self.weights[f"{name}.{k}"].bfloat16() for k in ("weight", "bias")
            )
            x = functional.relu(functional.conv2d(x, kernel, bias, stride, padding))
            layers.append(x)
        return layers


@torch.compile(dynamic=False)
def _recompose(lightness, ab):
    """`kcolor.color.graph.recompose` to `(N, 3, H, W)`, in one pass over memory."""
    a = (ab[..., 0] * AB_SCALE).clamp(AB_MIN[0], AB_MAX[0])
    b = (ab[..., 1] * AB_SCALE).clamp(AB_MIN[1], AB_MAX[1])
    y = ((lightness + 1) * LIGHTNESS_SCALE + 16) / 116
    xyz = [
        torch.where(f > DELTA, f * f * f, 3 * DELTA**2 * (f - 4 / 29))
        for f in (y + a / 500, y, y - b / 200)
    ]
    linear = [
        sum(float(w) * x for w, x in zip(row, xyz, strict=True))
        for row in WHITE_XYZ_TO_RGB
    ]
    luminance = xyz[1].clamp(0, 1)
    share = torch.ones_like(luminance)
    for channel in linear:
        offset = channel - luminance
        room = torch.where(offset > 0, 1 - luminance, luminance)
        share = torch.minimum(share, room / offset.abs().clamp_min(1e-6))
    rgb = []
    for channel in linear:
        x = (luminance + share * (channel - luminance)).clamp(0, 1)
        power = torch.exp(torch.log(x.clamp_min(0.0031308)) / 2.4)
        rgb.append(torch.where(x <= 0.0031308, 12.92 * x, 1.055 * power - 0.055))
    return torch.stack(rgb, 1)


@torch.compile(dynamic=False)
def _distance(truth, picture, weights):
    """Mean of LPIPS' distance of one layer, over the batch."""

    def unit(x):
        x = x.float()
        return x * torch.rsqrt(x.square().sum(1, keepdim=True).clamp_min(1e-12))

    return ((unit(truth) - unit(picture)).square() * weights).sum(1).mean()


def _colorfulness(rgb):
    """`kcolor.color.graph.opponent_colorfulness` of `(N, 3, H, W)`."""
    r, g, b = rgb.unbind(1)
    opponents = torch.stack([r - g, (r + g) / 2 - b], 1)
    mean = opponents.mean((2, 3))
    variance = (opponents - mean[:, :, None, None]).square().mean((2, 3)).sum(1)

    def root(x):
        return torch.where(x > 1e-12, x.clamp_min(1e-12).sqrt(), 0.0)

    return root(variance) + 0.3 * root(mean.square().sum(1))
