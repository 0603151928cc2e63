"""How every metric reads an image: as the 8-bit file that would be stored.

A prediction is judged after rounding to 256 levels, because that is what a user gets;
so uint8 and float input give the same figures. Differences are then taken between whole
levels, where they are exact: compilers fuse `x / 255 - y / 255` in a way that leaves a
remainder for equal x and y.
"""

import keras
from keras import ops


def as_stored(images: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Rounds images to the 256 levels of an 8-bit file.

    Args:
        images: RGB of shape `(batch, height, width, 3)`: uint8, or float in `[0, 1]`
            (values outside are clipped, as they are on storing).
        name: What an error message calls it.

    Returns:
        uint8 tensor of the same shape.

    Raises:
        ValueError: If the shape is another, or the dtype neither uint8 nor float.
    """
    dtype = keras.backend.standardize_dtype(images.dtype)
    if len(images.shape) != 4 or images.shape[-1] != 3:
        raise ValueError(
            f"`{name}` must have the shape (batch, height, width, 3). "
            f"Received: shape={tuple(images.shape)}"
        )
    if dtype == "uint8":
        return images
    if "float" not in dtype:
        raise ValueError(
            f"`{name}` must be uint8 or float in [0, 1]. Received: dtype={dtype}"
        )
    levels = ops.clip(ops.cast(images, "float32"), 0.0, 1.0) * 255.0
    # Adding 0.5 and truncating rounds half up, as `kcolor.color.graph.join` does.
    return ops.cast(levels + 0.5, "uint8")


def pair_as_stored(
    y_true: keras.KerasTensor, y_pred: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Applies `as_stored` to truth and prediction, which must have one shape.

    Args:
        y_true: True images, see `as_stored`.
        y_pred: Predicted images, see `as_stored`.

    Returns:
        Tuple of two uint8 tensors.

    Raises:
        ValueError: As `as_stored` does, or if the shapes differ.
    """
    y_true, y_pred = as_stored(y_true, "y_true"), as_stored(y_pred, "y_pred")
    # Broadcasting one truth over a batch would be a wrong figure, not an error.
    for one, other in zip(y_true.shape, y_pred.shape, strict=True):
        if one is not None and other is not None and one != other:
            raise ValueError(
                "`y_true` and `y_pred` must have the same shape. "
                f"Received: {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            )
    return y_true, y_pred


def as_float(stored: keras.KerasTensor) -> keras.KerasTensor:
    """Turns what `as_stored` returns into float32 in `[0, 1]`."""
    return ops.cast(stored, "float32") / 255.0
