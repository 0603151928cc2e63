"""`fit` on two devices: two logical CPUs stand in for two GPUs."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import tensorflow as tf
from kcolor.training import fit as module
from kcolor.training.options import FitOptions

run, system, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
device = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * count
tf.config.set_logical_device_configuration(device, logical)
names = [f"cpu:{i}" for i in range(count)]
module.all_devices = lambda size: tf.distribute.MirroredStrategy(names).scope()
arguments = dict(size=32, batch_size=8, steps_per_epoch=2, val_images=3)
arguments.update(backbone_weights="none", ema=0.0, learning_rate=1e-5)
if system == "pix2pix":
    arguments["backbone"] = "resnet18"
module.fit(FitOptions(system, run, epochs=1, **arguments))
again = FitOptions(system, run, epochs=2, resume=True, **arguments)
rows = module.fit(again)
print(json.dumps(rows))
"""


@pytest.mark.slow
@pytest.mark.parametrize("system", ["mobile", "pix2pix"])
def test_two_devices_train_validate_and_resume_as_one(system, tmp_path):
    histories = []
    for count in (1, 2):
        command = [sys.executable, "-c", SCRIPT, tmp_path / str(count), system]
        done = subprocess.run(
            [*command, str(count)], capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr[-2000:]
        histories.append(json.loads(done.stdout.splitlines()[-1]))
    for one, two in zip(*histories, strict=True):
        # BatchNorm sees half a batch on each device, so a little differs.
        assert two["loss"] == pytest.approx(one["loss"], rel=0.1)
        assert two["val_loss"] == pytest.approx(one["val_loss"], rel=0.1)
