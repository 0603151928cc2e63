"""One process of a training with JAX, on a network of a few layers.

Run by tests/training/test_processes.py, and there without TensorFlow: `fit` on JAX does
not need it.
"""

import json
import os
import resource
import signal
import sys


class WithoutTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, WithoutTensorFlow())

import keras  # noqa: E402

from kcolor.models.blocks import ab_head, upsample  # noqa: E402
from kcolor.training import fit, options, processes, trainer  # noqa: E402


def build_tiny(backbone, backbone_weights):
    lightness = keras.Input((None, None, 1), name="encoder_lightness")
    x = keras.layers.Conv2D(8, 3, 2, "same", name="conv")(lightness)
    x = keras.layers.BatchNormalization(name="bn")(x)
    encoder = keras.Model(lightness, x, name="encoder")
    inputs = keras.Input((None, None, 1), name="lightness")
    return keras.Model(inputs, ab_head(upsample(encoder(inputs), "up")))


class Steps(fit.StopAtNaN):
    """Keeps the loss of each step, and dies where it is told to."""

    losses: list[float] = []
    dies_at = None

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.losses.append(float(logs["loss"]))
        if len(self.losses) == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if asked["tiny"]:
        trainer.BUILDERS["mobile"] = build_tiny
        options.SYSTEMS["mobile"] = options.SystemDefaults("none")
    fit.StopAtNaN, Steps.dies_at = Steps, asked["dies_at"]
    if asked["processes"] > 1:
        processes.join(asked["coordinator"], asked["processes"], asked["process_id"])
    history = fit.fit(options.FitOptions(**asked["options"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"losses": Steps.losses, "history": history, "megabytes": peak}
    sys.stdout.write(json.dumps(result) + "\n")
