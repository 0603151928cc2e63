"""Measures a training step of each system; beside it, the same UNet in plain PyTorch.

    scripts/bench train [--systems unet,mobile] [--sizes 128] [--torch-python PYTHON]

Ours is `Model.fit` on a batch kept in memory, compiled as `kcolor fit` compiles it:
AdamW, clipped gradients, moving average of the weights, a look at the loss every step.
PyTorch gets the UNet layer by layer with the same loss, optimizer, clipping and
average, in the memory layout that is faster here; its threads wait without spinning
where the machine is busy.

Each configuration is a process of its own, for its peak memory's sake. The two of a
pair are alive at once and step in turns, so what else the machine does hits both: trust
the ratio, which is the median over pairs of steps, more than images/s, which are
medians too. `cpu` is processor time per step; threads that wait busily count in it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from process_memory import peak_mb

SYSTEMS = ("resnet", "unet", "pix2pix", "mobile")
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
WARM_UP = 3
LEFT_OUT = "the PyTorch row is left out: "


def main():
    arguments = _arguments()
    if arguments.worker:
        config = json.loads(arguments.worker)
        _train_torch(config) if config["framework"] == "torch" else _train_keras(config)
        return
    reason = _why_no_torch(arguments)
    if reason:
        print(LEFT_OUT + reason)
    print(f"{arguments.threads} threads, load {os.getloadavg()[0]:.1f}, batches of")
    print(
        f"{arguments.batch_size}, {arguments.steps} steps after {WARM_UP} to warm up\n"
    )
    print(f"{'':42s} {'images/s':>9s} {'step':>9s} {'cpu':>9s} {'peak':>8s}")
    rows, best = [], {}
    for system in arguments.systems:
        for size in arguments.sizes:
            for precision in arguments.precisions:
                config = {
                    "framework": "kcolor",
                    "system": system,
                    "backbone": _backbone(system, arguments),
                    "size": size,
                    "precision": precision,
                    "batch_size": arguments.batch_size,
                    "steps": arguments.steps,
                    "threads": arguments.threads,
                }
                pair = [(sys.executable, config)]
                if system == "unet" and not reason:
                    if precision not in best:
                        small = {**config, "size": min(arguments.sizes)}
                        best[precision] = _best_torch(arguments.torch_python, small)
                    other = {**config, **best[precision]}
                    pair.append((arguments.torch_python, other))
                rows.extend(_measure(pair))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def _arguments():
    def listed(kind):
        return lambda text: [kind(part) for part in text.split(",")]

    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", type=listed(str), default=SYSTEMS)
    parser.add_argument("--sizes", type=listed(int), default=(128, 256))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument(
        "--precisions", type=listed(str), default=("float32", "mixed_bfloat16")
    )
    parser.add_argument("--steps", type=int, default=10, help="timed steps")
    parser.add_argument(
        "--backbone", default="resnet18", help="of resnet, unet and pix2pix"
    )
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--torch-python",
        default=sys.executable,
        help="Python interpreter that has torch, if this one has not",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for system in arguments.systems:
        if system not in SYSTEMS:
            parser.error(f"--systems takes {','.join(SYSTEMS)}. Received: {system}")
    return arguments


def _backbone(system, arguments):
    return "mobilenet_v2" if system == "mobile" else arguments.backbone


def _why_no_torch(arguments):
    if "unet" not in arguments.systems:
        return "it stands beside unet, which is not asked for"
    if arguments.backbone not in BLOCKS:
        return f"it knows {' and '.join(BLOCKS)} only"
    found = subprocess.run(
        [arguments.torch_python, "-c", "import torch"], capture_output=True
    )
    return "pip install torch" if found.returncode else None


def _best_torch(python, config):
    # Threads that wait busily win on an idle machine and lose badly on a busy one.
    busy = os.getloadavg()[0] > config["threads"] / 4
    chosen = {"framework": "torch", "wait": "passive" if busy else "active"}
    rivals = [{**chosen, "layout": layout} for layout in ("channels_last", "nchw")]
    workers = [_Worker(python, {**config, **rival, "steps": 3}) for rival in rivals]
    for _ in range(3):
        for worker in workers:
            worker.step()
    times = [min(worker.finish()["all_ms"]) for worker in workers]
    return rivals[times.index(min(times))]


def _measure(pair):
    workers = [_Worker(python, config) for python, config in pair]
    for _ in range(pair[0][1]["steps"]):
        for worker in workers:
            worker.step()
    rows = [worker.finish() for worker in workers]
    for row in rows:
        name = (
            f"{row['framework']} {row['system']} {row['backbone']} "
            f"{row['size']} {row['precision']}"
        )
        print(
            f"{name:42s} {row['images_per_second']:9.2f} {row['step_ms']:6.0f} ms "
            f"{row['cpu_ms']:6.0f} ms {row['peak_mb']:5.0f} MB",
            flush=True,
        )
    if len(rows) == 2:
        ours, theirs = rows
        if ours["parameters"] != theirs["parameters"]:
            raise SystemExit(
                "both networks must have the same number of parameters. Received: "
                f"{ours['parameters']} and {theirs['parameters']}"
            )
        ratios = [
            their / our
            for our, their in zip(ours["all_ms"], theirs["all_ms"], strict=True)
        ]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        ours["ratio_to_torch"] = middle
        ours["ratio_to_torch_quartiles"] = [low, high]
        ours["cpu_ratio_to_torch"] = theirs["cpu_ms"] / ours["cpu_ms"]
        print(
            f"    kcolor / PyTorch: {middle:.2f} times the images/s (quartiles "
            f"{low:.2f} to {high:.2f}), {ours['cpu_ratio_to_torch']:.2f} by cpu; "
            f"{ours['parameters']:,} parameters each, PyTorch "
            f"{theirs['layout']}, {theirs['wait']} waiting",
            flush=True,
        )
    return rows


class _Worker:
    """A process that trains one configuration and steps when told to."""

    def __init__(self, python, config):
        self.config, self.steps = config, []
        self.errors = tempfile.TemporaryFile("w+")
        environment = {**os.environ, "OMP_NUM_THREADS": str(config["threads"])}
        if config.get("wait") == "passive":
            environment["OMP_WAIT_POLICY"] = "PASSIVE"
        self.process = subprocess.Popen(
            [python, __file__, "--worker", json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines()
            raise SystemExit(f"{self.config}: {lines[-1] if lines else 'died'}")
        return json.loads(line)

    def step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        self.steps.append(self._answer())

    def finish(self):
        last = self._answer()
        self.process.wait()
        wall = [1e3 * step["wall"] for step in self.steps]
        step = statistics.median(wall)
        return {
            **self.config,
            **self.about,
            "images_per_second": 1e3 * self.config["batch_size"] / step,
            "step_ms": step,
            "cpu_ms": 1e3 * statistics.median(step["cpu"] for step in self.steps),
            "all_ms": wall,
            **last,
        }


class _Turns:
    """A worker's side: waits for its turn, and answers how long the step took."""

    def __init__(self, **about):
        self.about, self.said = about, False

    def begin(self):
        if not self.said:
            _say(**self.about)
            self.said = True
        if not sys.stdin.readline():
            raise SystemExit("the benchmark ended early")
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def end(self):
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        _say(wall=wall, cpu=cpu)


def _say(**values):
    print(json.dumps(values), flush=True)


def _batch(config):
    import numpy as np

    size = config["size"]
    shape = (config["batch_size"], size, size, 3)
    target = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype("float32")
    return target[..., :1], target


def _train_keras(config):
    import keras
    import tensorflow as tf

    from kcolor.training.devices import dtype_policy
    from kcolor.training.epoch_end import StopAtNaN
    from kcolor.training.options import FitOptions
    from kcolor.training.stages import plan_stages
    from kcolor.training.trainer import build_trainer

    tf.config.threading.set_intra_op_parallelism_threads(config["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(config["threads"])
    options = FitOptions(
        config["system"],
        "benchmark",
        backbone=config["backbone"],
        backbone_weights="none",
    )
    keras.utils.set_random_seed(0)
    with dtype_policy(config["precision"]):
        trainer = build_trainer(options)
        trainer.compile(plan_stages(options)[0], steps_per_epoch=1000)
    turns = _Turns(parameters=trainer.model.count_params())

    class TakeTurns(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch >= WARM_UP:
                turns.begin()

        def on_train_batch_end(self, batch, logs=None):
            if batch >= WARM_UP:
                turns.end()

    trainer.model.fit(
        tf.data.Dataset.from_tensors(_batch(config)).repeat(),
        steps_per_epoch=WARM_UP + config["steps"],
        callbacks=[StopAtNaN("benchmark"), TakeTurns()],
        shuffle=False,
        verbose=0,
    )
    _say(peak_mb=peak_mb())


def _train_torch(config):
    import torch

    torch.set_num_threads(config["threads"])
    torch.manual_seed(0)
    layouts = {"channels_last": torch.channels_last, "nchw": torch.contiguous_format}
    layout = layouts[config["layout"]]
    network = _torch_unet(BLOCKS[config["backbone"]]).to(memory_format=layout)
    encoder = set(network.encoder_parameters())
    parameters = list(network.parameters())
    # The rates, decay, clipping and average that `kcolor fit` has by default.
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p in encoder], "lr": 2e-4},
            {"params": [p for p in parameters if p not in encoder], "lr": 1e-3},
        ],
        weight_decay=1e-4,
        fused=True,
    )
    averages = [p.detach().clone() for p in parameters]
    mixed = torch.autocast(
        "cpu", torch.bfloat16, enabled=config["precision"] == "mixed_bfloat16"
    )
    batch = [
        torch.from_numpy(part).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        for part in _batch(config)
    ]

    def step(lightness, target):
        with mixed:
            ab = network(lightness)
        loss = torch.mean((target[:, 1:] - ab) ** 2)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 0.001)
        if not torch.isfinite(loss):
            raise SystemExit("the loss became NaN")

    for _ in range(WARM_UP):
        step(*batch)
    turns = _Turns(parameters=network.count())
    for _ in range(config["steps"]):
        turns.begin()
        step(*batch)
        turns.end()
    _say(peak_mb=peak_mb())


def _torch_unet(blocks):
    """The layers of `kcolor.models.build_unet` on ResNet18 or ResNet34."""
    import torch
    from torch import nn
    from torch.nn import functional

    def conv_norm(inputs, filters, kernel=3, stride=1, epsilon=1e-5):
        return nn.Sequential(
            nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(filters, epsilon),
        )

    class Basic(nn.Module):
        def __init__(self, inputs, filters, stride):
            super().__init__()
            self.one = conv_norm(inputs, filters, stride=stride)
            self.two = conv_norm(filters, filters)
            self.shortcut = nn.Identity()
            if stride != 1 or inputs != filters:
                self.shortcut = conv_norm(inputs, filters, 1, stride)

        def forward(self, x):
            y = self.two(functional.relu(self.one(x), inplace=True))
            return functional.relu(y + self.shortcut(x), inplace=True)

    class Up(nn.Module):
        def __init__(self, inputs, filters):
            super().__init__()
            self.one = conv_norm(inputs, filters, epsilon=1e-3)
            self.two = conv_norm(filters, filters, epsilon=1e-3)

        def forward(self, x, skip=None):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
            if skip is not None:
                x = torch.cat([x, skip], 1)
            x = functional.relu(self.one(x), inplace=True)
            return functional.relu(self.two(x), inplace=True)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
            std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
            self.register_buffer("scale", 0.5 / std)
            self.register_buffer("offset", (0.5 - mean) / std)
            self.stem = conv_norm(3, 64, 7, 2)
            widths = (64, 64, 128, 256, 512)
            self.stages = nn.ModuleList(
                nn.Sequential(
                    Basic(widths[i], widths[i + 1], 1 if i == 0 else 2),
                    *(Basic(widths[i + 1], widths[i + 1], 1) for _ in range(n - 1)),
                )
                for i, n in enumerate(blocks)
            )
            pairs = ((512 + 256, 256), (256 + 128, 128), (128 + 64, 64), (128, 64))
            self.ups = nn.ModuleList(Up(i, o) for i, o in (*pairs, (64, 32)))
            self.head = nn.Conv2d(32, 2, 3, padding=1)

        def forward(self, lightness):
            x = torch.cat([lightness] * 3, 1) * self.scale + self.offset
            x = functional.relu(self.stem(x), inplace=True)
            levels = [x]
            x = functional.max_pool2d(x, 3, 2, 1)
            for stage in self.stages:
                x = stage(x)
                levels.append(x)
            *skips, x = levels
            for up, skip in zip(self.ups, (*skips[::-1], None), strict=True):
                x = up(x, skip)
            with torch.autocast("cpu", enabled=False):
                return self.head(x.float())

        def encoder_parameters(self):
            return [*self.stem.parameters(), *self.stages.parameters()]

        def count(self):
            # Keras counts BatchNorm's statistics as parameters.
            statistics = [b for n, b in self.named_buffers() if "running" in n]
            return sum(p.numel() for p in (*self.parameters(), *statistics))

    return UNet()


if __name__ == "__main__":
    main()
