"""What TF Serving runs before a version takes traffic."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from kcolor.color.graph import split
from kcolor.export import parity
from kcolor.images import view

_PATH = "assets.extra/tf_serving_warmup_requests"


def write_warmup(
    folder: Path, images: list[np.ndarray], size: int, takes_known: bool
) -> None:
    """Writes requests beside a SavedModel.

    One for each canvas, so that no user waits for the first run at a shape.

    Args:
        folder: The SavedModel.
        images: List of uint8 RGB arrays `(height, width, 3)`.
        size: Side of the square canvas.
        takes_known: Whether there is the signature `serving_ab_known`.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / _PATH
    path.parent.mkdir(exist_ok=True)
    small = [
        parity.resized([images[i % len(images)]], shape)
        for i, shape in enumerate(view.canvases(size))
    ]
    jpegs = [tf.io.encode_jpeg(batch[0]).numpy() for batch in small]
    lightness, _ = split(small[0])
    inputs = [
        ("serving_default", {"image_bytes": tf.constant(jpegs)}),
        *(("serving_tensor", {"images": tf.constant(batch)}) for batch in small),
        ("serving_ab", {"lightness": lightness}),
    ]
    if takes_known:
        known = parity.known_colors(small[0], np.random.default_rng(0))
        inputs.append(("serving_ab_known", {"lightness": lightness, "known": known}))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, named in inputs:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "kcolor"
            request.model_spec.signature_name = signature
            for name, value in named.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
