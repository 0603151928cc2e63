"""The networks whose features FID and KID compare.

FID is published for one Inception of 2015, whose parameters exist for TensorFlow 1 and
PyTorch; papers of this field also use torchvision's. keras.applications' is a third
one. Figures of different networks cannot be compared, so each row says whose it is.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kcolor.errors import DataError
from kcolor.evaluation.compilation import compiled
from kcolor.images.resize import resize_square
from kcolor.metrics import lpips

FEATURES = ("inception", "alexnet")
_INCEPTION_SIDE = 299
_ALEXNET_SIDE = 256


class Features:
    """Turns pictures into feature vectors.

    Attributes:
        name: Which network's, and how they are taken.
        sha256: Digest of its parameters.
        count: Length D of a vector.
    """

    def __init__(self, name: str, model: keras.Model, side: int) -> None:
        """Takes a network.

        Args:
            name: What records call it.
            model: `keras.Model` from float RGB `(batch, side, side, 3)` in `[0, 1]` to
                float32 `(batch, D)`.
            side: Side in pixels that pictures are resized to.
        """
        self.name = f"{name}, {side}x{side} pixels"
        self.count = model.output_shape[-1]
        digest = hashlib.sha256()
        for weight in model.get_weights():
            digest.update(weight.tobytes())
        self.sha256 = digest.hexdigest()
        self._side = side
        self._model = compiled(model, elementwise=False)

    def __call__(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """Computes the features of pictures.

        Args:
            images: uint8 RGB arrays `(height, width, 3)`, of any size.

        Returns:
            float32 array `(images, D)`.
        """
        batch = np.stack([resize_square(image, self._side) for image in images])
        batch = batch.astype("float32") / 255
        return np.asarray(self._model.predict_on_batch(batch))


def load_features(name: str, weights: Path | str | None = None) -> Features:
    """Builds one of the networks.

    Args:
        name: `"inception"`: InceptionV3 of keras.applications, 2,048 features.
            `"alexnet"`: the AlexNet of LPIPS that comes with kcolor, 256 features.
        weights: File of Inception's parameters without its classifier, as
            keras.applications publishes it; None: downloaded, once.

    Returns:
        The `Features`.

    Raises:
        ValueError: If there is no such network, or it takes no file.
        DataError: If the parameters cannot be had.
    """
    if name not in FEATURES:
        raise ValueError(
            f"features must be one of {', '.join(FEATURES)}. Received: {name!r}"
        )
    if name == "inception":
        return _inception(weights)
    if weights is not None:
        raise ValueError("the features of alexnet come with kcolor and take no file")
    return _alexnet()


def _inception(weights):
    if weights is not None and not Path(weights).is_file():
        raise DataError(f"{weights}: no such file of Inception's parameters")
    shape = (_INCEPTION_SIDE, _INCEPTION_SIDE, 3)
    try:
        network = keras.applications.InceptionV3(
            include_top=False,
            weights="imagenet" if weights is None else str(weights),
            input_shape=shape,
            pooling="avg",
        )
    # Keras wraps every failure of a network in a bare Exception, and names neither the
    # file nor the reason where one does not fit.
    except Exception as error:  # noqa: BLE001
        reason = " ".join(str(error).split())[:120]
        if weights is not None:
            raise DataError(
                f"{weights}: not InceptionV3's parameters without its classifier "
                f"({reason})"
            ) from error
        raise DataError(
            f"Inception's parameters cannot be downloaded ({reason}). --fid-weights "
            "FILE names them; --fid-features alexnet needs no download, and its "
            "figures are not comparable"
        ) from error
    rgb = keras.Input(shape, name="rgb")
    x = keras.layers.Rescaling(2.0, -1.0, name="to_signed")(rgb)
    return Features(
        "InceptionV3 of keras.applications, mean over positions",
        keras.Model(rgb, network(x)),
        _INCEPTION_SIDE,
    )


def _alexnet():
    file = lpips.find_weights(backbone="alex")
    if file is None:
        raise DataError(f"{lpips.usual_weights()}: no such file")
    network = lpips.build_features(file)
    rgb = keras.Input((_ALEXNET_SIDE, _ALEXNET_SIDE, 3), name="rgb")
    return Features(
        "AlexNet of LPIPS, its last layer, mean over positions",
        # A vector of unit length; now each of its numbers is about 1, as KID expects.
        keras.Model(rgb, 16.0 * ops.mean(network(rgb)[-1], axis=(1, 2))),
        _ALEXNET_SIDE,
    )
