"""The networks: functional Keras models from lightness to ab.

Every system takes `lightness`, float32 `(batch, height, width, 1)` in [-1, 1], and
answers `ab`, float32 `(batch, height, width, 2)`, both in the units of
`kcolor.color.graph`. Its last layer is linear: ab is about [-1, 1], not bounded; who
makes colors of it clips to the gamut's range. Height and width are multiples of 32.
"""

from kcolor.models.backbones import BACKBONES, build_backbone
from kcolor.models.mobile import build_mobile
from kcolor.models.pix2pix import build_discriminator, build_pix2pix_generator
from kcolor.models.resnet import build_resnet
from kcolor.models.unet import build_unet

__all__ = [
    "BACKBONES",
    "build_backbone",
    "build_discriminator",
    "build_mobile",
    "build_pix2pix_generator",
    "build_resnet",
    "build_unet",
]
