"""Measures the input pipeline; beside it, a PyTorch DataLoader that does the same work.

    scripts/bench data --data SRC... [--parts stages,wait] [--torch-python PYTHON]

The DataLoader is what projects in the field have: 2 workers; Pillow decodes and crops,
scikit-image converts each picture, the batches are lightness and ab in float32. Its
crops are of the same kind as ours and a little cheaper: no change of aspect, and turned
after they are resized.

Stages are processor time per picture, one after the other. Pipelines are pictures per
second of a consumer that does nothing else, each in a process of its own; they take
turns, forth and back, so what else the machine does hits all of them: trust the ratio,
which is the median over turns. Files were written a moment before and come from the
system's file cache.

The last part trains `mobile` as `kcolor fit` does and looks at how long each step waits
for its batch.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from process_memory import peak_mb, resident_mb

PARTS = ("stages", "pipelines", "memory", "wait")
WORKERS = 2
# Batches that fill queues, start threads and trace functions; not measured.
WARM_UP = 8
STAGE_IMAGES = 200
RIVAL = "DataLoader, folder"
TARGETS = {"without a cache": 1.5, "with a cache": 5.0}


def main():
    arguments = _arguments()
    if arguments.worker:
        config = json.loads(arguments.worker)
        work = _WORK[config["work"]]
        if "rival" not in config["work"]:
            # As `fit` runs its pipeline.
            import cv2

            cv2.setNumThreads(1)
        print(json.dumps(work(config)), flush=True)
        # At a normal exit tf.data's threads may wait forever for the interpreter.
        os._exit(0)
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(arguments, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        default=[],
        metavar="SRC",
        help="as kcolor fit takes it; default: scikit-image's photographs",
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--images", type=int, default=2000, help="pictures that a turn measures"
    )
    parser.add_argument("--repeats", type=int, default=3, help="turns of each row")
    parser.add_argument("--wait-steps", type=int, default=60, help="timed steps")
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=PARTS, help="of the run"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--torch-python",
        default=sys.executable,
        help="Python interpreter that has torch, Pillow and scikit-image, if this "
        "one has not",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not set(arguments.parts) <= set(PARTS):
        parser.error(f"--parts takes {','.join(PARTS)}. Received: {arguments.parts}")
    return arguments


def _measure(arguments, folder):
    files = _write_sources(arguments, folder)
    common = {
        "size": arguments.size,
        "batch_size": arguments.batch_size,
        "images": arguments.images,
    }
    found = subprocess.run(
        [arguments.torch_python, "-c", "import torch, PIL, skimage"],
        capture_output=True,
    )
    torch_python = None if found.returncode else arguments.torch_python
    if torch_python is None:
        print("the DataLoader is left out: pip install torch pillow scikit-image")
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    load = os.getloadavg()[0]
    print(f"{cores} cores, load {load:.1f}, {arguments.images} pictures")
    print(f"at {arguments.size} in batches of {arguments.batch_size}")
    figures = {"machine": {"cores": cores, "load": load}, **common}
    if "stages" in arguments.parts:
        figures["stages"] = _measure_stages(
            common, files, arguments.repeats, torch_python
        )
    if "pipelines" in arguments.parts:
        figures["pipelines"] = _measure_pipelines(
            common, files, arguments.repeats, torch_python
        )
    if "memory" in arguments.parts:
        tars = [path for path in arguments.data if path.endswith(".tar")]
        figures["memory"] = _measure_memory(common, tars or [files["tar"]])
    if "wait" in arguments.parts:
        config = {**common, "steps": arguments.wait_steps}
        figures["wait"] = _measure_wait(config, arguments.data)
    return figures


def _write_sources(arguments, folder):
    """Writes the first pictures of the data as a folder, a .tar and a .zip."""
    from kcolor.data.source import open_sources

    source = open_sources(arguments.data)
    pictures = folder / "pictures"
    pictures.mkdir()
    for number, name in enumerate(source.names[: arguments.images]):
        data, _ = source.content(number)
        if not isinstance(data, bytes):
            raise SystemExit(f"{source.path}: must hold picture files, not an array")
        (pictures / f"{number:06d}{Path(name).suffix}").write_bytes(data)
    paths = sorted(pictures.iterdir())
    files = {"folder": pictures, "tar": folder / "p.tar", "zip": folder / "p.zip"}
    with (
        tarfile.open(files["tar"], "w") as tar,
        zipfile.ZipFile(files["zip"], "w") as zipped,
    ):
        for path in paths:
            tar.add(path, path.name)
            zipped.write(path, path.name)
    return {kind: str(path) for kind, path in files.items()}


def _measure_stages(common, files, repeats, torch_python):
    pair = {"kcolor": (sys.executable, {"work": "stages", "data": files["tar"]})}
    if torch_python:
        config = {"work": "rival stages", "data": files["folder"]}
        pair["DataLoader"] = (torch_python, config)
    best = {name: {} for name in pair}
    for _ in range(repeats):
        for name, (python, config) in pair.items():
            for stage, ms in _child(python, {**common, **config}).items():
                best[name][stage] = min(ms, best[name].get(stage, ms))
    print(f"\n{'cpu per picture':34s} {'kcolor':>9s} {'rival':>9s} {'ratio':>6s}")
    for stage, ours in best["kcolor"].items():
        theirs = best.get("DataLoader", {}).get(stage)
        beside = f" {theirs:6.2f} ms {theirs / ours:6.1f}" if theirs else ""
        print(f"{stage:34s} {ours:6.2f} ms{beside}", flush=True)
    return best


def _measure_pipelines(common, files, repeats, torch_python):
    rows = {
        kind: {"work": "pipeline", "data": path, "cache": "none"}
        for kind, path in files.items()
    }
    for cache in ("memory", "disk"):
        name = f"tar, cached ({cache}), second pass"
        rows[name] = {**rows["tar"], "cache": cache}
    if torch_python:
        rows = {RIVAL: {"work": "rival pipeline", "data": files["folder"]}, **rows}
    turns = {name: [] for name in rows}
    for turn in range(repeats):
        for name in list(rows)[:: -1 if turn % 2 else 1]:
            python = torch_python if name == RIVAL else sys.executable
            turns[name].append(_child(python, {**common, **rows[name]}))
    print(f"\n{'pipeline':34s} {'images/s':>9s} {'ratio':>9s} {'peak':>8s}")
    figures = {}
    for name, measured in turns.items():
        rates = [turn["images_per_second"] for turn in measured]
        row = {"images_per_second": statistics.median(rates), "all": rates}
        line = f"{name:34s} {row['images_per_second']:9.1f}"
        if name != RIVAL:
            row["peak_mb"] = max(turn["peak_mb"] for turn in measured)
            if torch_python:
                their = [turn["images_per_second"] for turn in turns[RIVAL]]
                ratios = [our / t for our, t in zip(rates, their, strict=True)]
                row["ratio"] = statistics.median(ratios)
            ratio = f"{row['ratio']:.2f}" if torch_python else ""
            line += f" {ratio:>9s} {row['peak_mb']:5.0f} MB"
        figures[name] = row
        print(line, flush=True)
    if torch_python:
        for name, target in TARGETS.items():
            lowest = min(
                row["ratio"]
                for kind, row in figures.items()
                if kind != RIVAL and ("cached" in kind) == (name == "with a cache")
            )
            print(
                f"    kcolor / DataLoader {name}: {lowest:.2f} times at least "
                f"(wanted: {target})"
            )
    return figures


def _measure_memory(common, tars):
    row = _child(sys.executable, {**common, "work": "memory", "data": tars})
    print(
        f"\none pass over {row['images']} pictures of a .tar: resident "
        f"{row['warm_mb']:.0f} MB when warm, at most {row['largest_mb']:.0f} MB, "
        f"{row['end_mb']:.0f} MB at the end (peak {row['peak_mb']:.0f} MB)\n"
        f"    memory grows by {row['largest_mb'] - row['warm_mb']:.0f} MB at most "
        "(wanted: 100)",
        flush=True,
    )
    return row


def _measure_wait(common, data):
    row = _child(sys.executable, {**common, "work": "wait", "data": data})
    print(
        f"\ntraining mobile on {' '.join(data) or 'the samples'}: a step takes "
        f"{row['step_ms']:.0f} ms, of which {row['wait_ms']:.1f} ms wait for data\n"
        f"    the step waits for {100 * row['share']:.2f}% of its time (wanted: 5)",
        flush=True,
    )
    return row


def _child(python, config):
    done = subprocess.run(
        [python, __file__, "--worker", json.dumps(config)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise SystemExit(f"{config}: {lines[-1] if lines else 'died'}")
    return json.loads(done.stdout.splitlines()[-1])


class _Stages:
    """Runs one stage after the other on all pictures and takes their times."""

    def __init__(self, images):
        self.images, self.ms = images, {}

    def __call__(self, name, function, items):
        function(items[0])  # the first call of a function loads or traces something
        started = time.process_time()
        results = [function(item) for item in items]
        self.ms[name] = 1e3 * (time.process_time() - started) / self.images
        return results


def _stages(config):
    from kcolor.color.host import split_on_host
    from kcolor.data.augment import degrade_lightness, random_crop
    from kcolor.data.source import open_source
    from kcolor.images.decode import decode_rgb

    size, batch_size = config["size"], config["batch_size"]
    source = open_source(config["data"])
    rng = np.random.default_rng(0)
    indices = range(min(STAGE_IMAGES, len(source)))
    run = _Stages(len(indices))
    data = run("read", source.content, indices)
    pictures = run("decode", lambda data: decode_rgb(data, 2 * size), data)
    crops = run("crop", lambda picture: random_crop(picture, size, rng), pictures)
    batches = [
        np.stack(crops[i : i + batch_size]) for i in range(0, len(crops), batch_size)
    ]
    lightness = [image for lab in run("Lab", split_on_host, batches) for image in lab]
    run("degrade all", lambda lab: degrade_lightness(lab[..., :1], rng, 1.0), lightness)
    return run.ms


def _rival_stages(config):
    pictures = Rival(config["data"], config["size"])
    paths = pictures.paths[:STAGE_IMAGES]
    run = _Stages(len(paths))
    data = run("read", Path.read_bytes, paths)
    decoded = run("decode", pictures.decode, data)
    crops = run("crop", pictures.crop, decoded)
    run("Lab", pictures.to_lab, crops)
    return run.ms


def _pipeline(config):
    from kcolor.data.batches import training_batches
    from kcolor.data.cache import Cache
    from kcolor.data.source import open_source

    size, batch_size = config["size"], config["batch_size"]
    source = open_source(config["data"])
    skipped = WARM_UP
    if config["cache"] != "none":
        skipped += -(-len(source) // batch_size)
        folder = None if config["cache"] == "memory" else Path(config["data"]).parent
        source = Cache(source, 2 * size, folder)
    batches = iter(training_batches(source, size, batch_size))
    rate = _rate(batches, skipped, config)
    return {"images_per_second": rate, "peak_mb": peak_mb()}


def _rival_pipeline(config):
    from torch.utils.data import DataLoader

    pictures, batch_size = Rival(config["data"], config["size"]), config["batch_size"]
    drawn = WARM_UP * batch_size + config["images"]
    rng, count = np.random.default_rng(0), len(pictures)
    passes = [rng.permutation(count).tolist() for _ in range(-(-drawn // count))]
    batches = DataLoader(
        pictures,
        batch_size=batch_size,
        sampler=[index for order in passes for index in order],
        num_workers=WORKERS,
        drop_last=True,
    )
    return {"images_per_second": _rate(iter(batches), WARM_UP, config)}


def _rate(batches, skipped, config):
    count = config["images"] // config["batch_size"]
    for _ in range(skipped):
        next(batches)
    started = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * config["batch_size"] / (time.perf_counter() - started)


class Rival:
    """A dataset for DataLoader, a picture at a time by Pillow and scikit-image."""

    def __init__(self, folder, size):
        self.paths, self.size = sorted(Path(folder).iterdir()), size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.to_lab(self.crop(self.decode(self.paths[index].read_bytes())))

    def decode(self, data):
        from PIL import Image

        return Image.open(io.BytesIO(data)).convert("RGB")

    def crop(self, image):
        from PIL import Image

        # Not kept: the workers would all inherit one state and draw the same crops.
        rng = np.random.default_rng()
        width, height = image.size
        side = rng.uniform(0.5, 1.0) * min(width, height)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        box = (left, top, left + side, top + side)
        image = image.resize((self.size, self.size), Image.Resampling.BILINEAR, box)
        if rng.random() < 1 / 3:
            image = image.rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(image)

    def to_lab(self, rgb):
        import torch
        from skimage.color import rgb2lab

        lab = rgb2lab(rgb).astype("float32")
        lightness, ab = lab[..., :1] / 50 - 1, lab[..., 1:] / 110
        return torch.from_numpy(lightness), torch.from_numpy(ab)


def _memory(config):
    from kcolor.data.batches import pass_length, training_batches
    from kcolor.data.source import open_sources

    source, batch_size = open_sources(config["data"]), config["batch_size"]
    batches = iter(training_batches(source, config["size"], batch_size))
    for _ in range(WARM_UP):
        next(batches)
    seen = [resident_mb()]
    for _ in range(-(-pass_length(source) // batch_size)):
        next(batches)
        seen.append(resident_mb())
    return {
        "images": pass_length(source),
        "warm_mb": seen[0],
        "largest_mb": max(seen),
        "end_mb": seen[-1],
        "peak_mb": peak_mb(),
    }


def _wait(config):
    import keras

    from kcolor.data.batches import training_batches
    from kcolor.data.source import open_sources
    from kcolor.training.devices import dtype_policy, policy_name
    from kcolor.training.options import FitOptions
    from kcolor.training.stages import plan_stages
    from kcolor.training.trainer import build_trainer

    options = FitOptions("mobile", "benchmark", backbone_weights="none")
    keras.utils.set_random_seed(0)
    with dtype_policy(policy_name(options.precision)):
        trainer = build_trainer(options)
        trainer.compile(plan_stages(options)[0], steps_per_epoch=1000)
    source = open_sources(config["data"])
    batches = iter(training_batches(source, config["size"], config["batch_size"]))
    waits, steps = [], []
    for _ in range(WARM_UP + config["steps"]):
        started = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - started)
        trainer.model.train_on_batch(*batch)  # returns the loss, so the step is over
        steps.append(time.perf_counter() - started)
    waits, steps = waits[WARM_UP:], steps[WARM_UP:]
    return {
        "share": sum(waits) / sum(steps),
        "step_ms": 1e3 * statistics.median(steps),
        "wait_ms": 1e3 * statistics.fmean(waits),
    }


_WORK = {
    "stages": _stages,
    "rival stages": _rival_stages,
    "pipeline": _pipeline,
    "rival pipeline": _rival_pipeline,
    "memory": _memory,
    "wait": _wait,
}

if __name__ == "__main__":
    main()
