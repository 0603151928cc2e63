"""What the tests of several formats share."""

import pytest


@pytest.fixture(scope="package")
def photographs(tmp_path_factory):
    """Folder of three photographs of different sizes."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow writes the photographs")
    from kcolor.export import parity

    folder = tmp_path_factory.mktemp("photographs")
    for i, image in enumerate(parity.of_many_sizes(parity.pictures(limit=3))):
        (folder / f"{i}.png").write_bytes(tf.io.encode_png(image).numpy())
    return folder
