"""Layers in bfloat16 and NHWC whose gradients are as fast as AVX-512 and AMX allow."""

from pathlib import Path

import torch
from torch.nn import functional
from torch.utils.cpp_extension import load

_kernels = load(
    "kcolor_amx",
    [str(Path(__file__).with_name("kernels.cpp"))],
    extra_cflags=["-O3", "-march=native", "-fopenmp", "-ffast-math"],
    extra_ldflags=["-fopenmp"],
)


def depthwise(
    x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor, kernel: int, stride: int
) -> torch.Tensor:
    """Convolves each channel by itself, then bounds by 0 and 6.

    Args:
        x: bfloat16 `(N, H, W, C)`, contiguous, C a multiple of 16.
        weights: float32 `(kernel * kernel, C)`.
        bias: float32 `(C,)`.
        kernel: 3 or 5.
        stride: 1 or 2; padded as TensorFlow's "same".

    Returns:
        bfloat16 `(N, ceil(H / stride), ceil(W / stride), C)`.
    """
    return _Depthwise.apply(x, weights, bias, kernel, stride)


def pointwise(
    x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor, bounded: bool
) -> torch.Tensor:
    """Applies a convolution of one pixel, then bounds by 0 and 6 if asked to.

    Args:
        x: bfloat16 `(N, H, W, C)`, contiguous.
        weights: float32 `(D, C)`.
        bias: float32 `(D,)`.
        bounded: Whether ReLU6 follows; D is then a multiple of 16.

    Returns:
        bfloat16 `(N, H, W, D)`.
    """
    return _Pointwise.apply(x, weights, bias, bounded)


def enlarge(x: torch.Tensor) -> torch.Tensor:
    """Enlarges bfloat16 `(N, C, H, W)`, channels last, twice, bilinearly."""
    return _Enlarge.apply(x)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weights, bias, kernel, stride):
        y = _kernels.depthwise(x, weights, bias, kernel, stride)
        ctx.save_for_backward(x, weights, y)
        ctx.shape = kernel, stride
        return y

    @staticmethod
    def backward(ctx, gradient):
        x, weights, y = ctx.saved_tensors
        before, of_bias = _kernels.relu6_gradient(gradient.contiguous(), y)
        of_x, of_weights = _kernels.depthwise_gradients(
            before, x, weights, *ctx.shape, ctx.needs_input_grad[0]
        )
        return of_x, of_weights, of_bias, None, None


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weights, bias, bounded):
        weights = weights.bfloat16()
        y = functional.linear(x.flatten(0, 2), weights, bias.bfloat16())
        if bounded:
            _kernels.relu6(y)
        ctx.save_for_backward(x, weights, y)
        ctx.bounded = bounded
        return y.view(*x.shape[:3], -1)

    @staticmethod
    def backward(ctx, gradient):
        x, weights, y = ctx.saved_tensors
        gradient = gradient.reshape(y.shape)
        if ctx.bounded:
            gradient, of_bias = _kernels.relu6_gradient(gradient, y)
        else:
            of_bias = gradient.sum(0, dtype=torch.float32)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ weights).view(x.shape)
        return of_x, (gradient.t() @ x.flatten(0, 2)).float(), of_bias, None


class _Enlarge(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return functional.interpolate(x, scale_factor=2, mode="bilinear")

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.permute(0, 2, 3, 1).contiguous()
        return _kernels.enlarging_gradient(gradient).permute(0, 3, 1, 2)
