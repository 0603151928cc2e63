"""Writes a `.keras` file that training goes on from, small enough to ship.

What a reader would get wrong: kernels are rounded, so the file does not answer to the
last digit as the network does; one that has to run is exported from the network itself.
"""

import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from kcolor.files import replacing
from kcolor.models.surgery import under_policy

# Bits of a kernel's mantissa beside the first, which float32 does not store. The
# rounding is 0.6% of a weight (root mean square).
_BITS = 5
_PACKED = {"shuffle": True, "compression": "gzip", "compression_opts": 9}


def write_trained(network: keras.Model, path: Path | str) -> None:
    """Writes a network at about a third of the usual size.

    Any Keras reads the file: its HDF5 part is compressed, and kernels are rounded so
    that there is something to compress. Biases and statistics stay as they are. It
    computes in float32, whatever it was trained in, and so alike with every backend.

    Args:
        network: `keras.Model` of float32 weights, not compiled.
        path: The `.keras` file to write or replace.

    Raises:
        ValueError: If `network` is compiled.
        OSError: If the file cannot be written.
    """
    if network.compiled:
        raise ValueError(
            "`network` must not be compiled, or its optimizer is saved with it; "
            f"`kcolor.runtimes.keras.load_model` loads one. Received: {network.name}"
        )
    with replacing(path) as temporary:
        under_policy(network, "float32").save(temporary)
        whole = io.BytesIO(temporary.read_bytes())
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(temporary, "w") as new:
            for member in old.namelist():
                content = old.read(member)
                packed = _pack(content) if member.endswith(".h5") else content
                new.writestr(member, packed)


def _pack(content):
    memory = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(memory, "w") as new:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                copied = new.require_group(name)
            elif item.ndim < 2:
                copied = new.create_dataset(name, data=item[()])
            else:
                copied = new.create_dataset(name, data=_rounded(item[()]), **_PACKED)
            copied.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    return memory.getvalue()


def _rounded(values):
    fractions, exponents = np.frexp(values)
    steps = 2.0 ** (_BITS + 1)
    return np.ldexp(np.rint(fractions * steps) / steps, exponents).astype("float32")
