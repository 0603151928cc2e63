"""Reproduces shipped models: trains, exports and measures them, writes their cards.

    python recipes/run.py mobile --corpus CORPUS --weights WEIGHTS -o RUNS

Each model is a file beside this one:

- `[common]` and each of `[[stages]]` hold options of `kcolor fit`, by the names of
  `FitOptions`: several weighted sources, a validation source, sizes, rates. A stage
  goes on from what the one before it left; the first names `backbone_weights`. From
  the first stage with `hints_share` on, `mobile` takes known colors.
- `data` may name one of `[mixes]`, sources that several stages draw from.
- `start` in a stage says otherwise: `encoder_from`, another model's trained encoder
  under a fresh decoder; `end_at_level`, a fresh network that ends at a pyramid level;
  `grown`, the whole network around the layers that the stage before it trained.
- `[files]` says what is exported from the last stage and `ships_in` where it and its
  card go; `test` what it is measured on, `[card]` what no machine can say.
- `{corpus}` and `{weights}` stand for the folders given here; sources may hold `*`.

`KERAS_BACKEND=torch python recipes/run.py mobile ... --engine amx --train-only` trains
`mobile` on CPUs with AMX 2.5 times as fast, see `amx/fit.py`; it needs a C++ compiler
and `pip install torch ninja`. The same without the first and the last word exports it.

Training that was interrupted goes on; what is finished is only exported and measured
again. A card is short; everything else that is known of a model goes to `results/`.
`--smoke` runs the whole recipe on a few pictures.
"""

import argparse
import hashlib
import json
import logging
import sys
import tempfile
import tomllib
from pathlib import Path

from kcolor.presets import METRICS

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in HERE.glob("*.toml"))
# Test pictures that are colorized with more and more hints; each takes a second.
HINTED = 500
# A low rate, since no int8 file follows a network that is thrown about.
_SMOKE = {
    "epochs": 2,
    "steps_per_epoch": 4,
    "batch_size": 8,
    "val_images": 8,
    "learning_rate": 1e-4,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", choices=NAMES, nargs="+", metavar="MODEL")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=HERE.parent / "runs")
    parser.add_argument("--into", type=Path, help="instead of the recipe's ships_in")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--limit", type=int, help="test pictures; default: all")
    parser.add_argument("--note", help="what the results should say of this very run")
    parser.add_argument(
        "--precision",
        default="auto",
        help="of training; mixed_bfloat16 on CPUs: 1.4 and 0.7 times as fast on two",
    )
    parser.add_argument("--engine", choices=("keras", "amx"), default="keras")
    parser.add_argument("--train-only", action="store_true", help="measure another day")
    parser.add_argument("--smoke", action="store_true", help="a few pictures only")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.smoke:
        options.into = options.results = Path(tempfile.mkdtemp(prefix="kcolor-smoke-"))
        options.output, options.limit = options.into / "runs", 64

    from kcolor.process import keep_freed_memory

    keep_freed_memory()
    runs = {name: train(name, options) for name in options.models}
    if options.train_only:
        return
    for name in options.models:
        recipe = read(name, options)
        files = export(recipe, runs[name][-1], options)
        measured = measure(recipe, files, options)
        write_cards(recipe, runs[name], files, measured, options)


def read(name, options):
    """Reads a recipe; `stages` then hold all of their options, with real paths."""
    text = (HERE / f"{name}.toml").read_text(encoding="utf-8")
    for folder in ("corpus", "weights"):
        text = text.replace(f"{{{folder}}}", getattr(options, folder).as_posix())
    recipe = tomllib.loads(text)
    stages = [{**recipe.get("common", {}), **stage} for stage in recipe["stages"]]
    for stage in stages:
        sources = stage["data"]
        if isinstance(sources, str):
            sources = recipe["mixes"][sources]
        stage["data"] = [path for source in sources for path in found(source)]
        if not stage["data"]:
            sys.exit(f"{options.corpus}: holds nothing that recipes/{name}.toml names")
        if options.smoke:
            stage.update(_SMOKE, data=stage["data"][:1])
            stage.update({k: 2 for k in ("pretrain_epochs",) if stage.get(k)})
        stage.setdefault("precision", options.precision)
    into = options.into or HERE.parent / recipe["ships_in"]
    return {"name": name, **recipe, "stages": stages, "into": into}


def found(source):
    """Returns the sources that `folder/*.tar=WEIGHT` stands for."""
    path, equals, weight = source.partition("=")
    if "*" not in path:
        return [source]
    paths = sorted(Path(path).parent.glob(Path(path).name))
    return [f"{each}{equals}{weight}" for each in paths]


def train(name, options):
    """Trains each stage in a run folder of its own; returns the folders."""
    from kcolor.runtimes.run_folder import read_history
    from kcolor.training.options import FitOptions

    if options.engine == "amx":
        from amx.fit import fit
    else:
        from kcolor.training.fit import fit

    recipe, runs = read(name, options), []
    for number, stage in enumerate(recipe["stages"], 1):
        run = options.output / f"{name}-stage{number}"
        if len(read_history(run)) < stage["epochs"]:
            given = {key: value for key, value in stage.items() if key != "start"}
            begin = start(recipe, number - 1, runs, options)
            resume = (run / "config.json").exists()
            fit(FitOptions(recipe["system"], run, **given, **begin, resume=resume))
        runs.append(run)
    return runs


def start(recipe, number, runs, options):
    """Returns the option of `fit` that says what a stage starts from."""
    import numpy as np

    from kcolor.files import replacing
    from kcolor.models.grow import copy_layers, end_at_level, grow
    from kcolor.runtimes.keras import load_model

    stage = recipe["stages"][number]
    how = stage.get("start")
    if how is None:
        return {"init_from": runs[-1]} if runs else {}
    path = options.output / f"{recipe['name']}-start{number + 1}.keras"
    if path.exists():
        return {"init_from": path}
    options.output.mkdir(parents=True, exist_ok=True)
    network = untrained(recipe, number)
    if "encoder_from" in how:
        trained = load_model(train(how["encoder_from"], options)[-1])
        copy_layers(trained, network, ["encoder"])
    elif "end_at_level" in how:
        network = end_at_level(network, how["end_at_level"])
    elif how.get("grown"):
        lightness = np.concatenate(spread_lightness(stage["data"][0], stage["size"]))
        grow(load_model(runs[-1]), network, lightness)
    with replacing(path) as temporary:
        network.save(temporary)
    return {"init_from": path}


def untrained(recipe, number=0):
    """Builds the network of a stage as it is before any training."""
    from kcolor.training.options import FitOptions
    from kcolor.training.trainer import BUILDERS

    stage = recipe["stages"][number]
    options = FitOptions(recipe["system"], "", backbone=stage.get("backbone"))
    weights = stage.get("start", stage)["backbone_weights"]
    return BUILDERS[recipe["system"]](options.with_defaults().backbone, weights)


def spread_lightness(source, size):
    """Returns the lightness of 32 pictures spread over a source, in batches of 8."""
    from kcolor.data.batches import evaluation_batches
    from kcolor.data.source import open_sources
    from kcolor.parallel import evenly_spaced

    pictures = open_sources([source])
    spread = pictures.subset(evenly_spaced(len(pictures), 32))
    return [batch[0] for batch in evaluation_batches(spread, size, 8)]


def export(recipe, run, options):
    """Writes the model's files; returns the `.tflite` ones by name."""
    from kcolor.export.tflite import ANY, CANVASES, export_tflite
    from kcolor.export.trained import write_trained
    from kcolor.runtimes.keras import load_model

    network = load_model(run)
    head = [layer for layer in network.layers if layer.weights][-1]
    chroma = recipe.get("chroma", 1.0)
    head.set_weights([chroma * values for values in head.get_weights()])
    sizes = {"any": {"serving_default": ANY}, "canvases": CANVASES}
    files = {}
    for name, choice in recipe["files"].items():
        files[name] = recipe["into"] / f"{name}.tflite"
        more = {"sizes": sizes.get(choice.get("sizes"))}
        if choice["quantize"] == "int8":
            stage = recipe["stages"][0]
            source = stage.get("val_data", stage["data"][0])
            more["calibration"] = source.partition("=")[0]
        export_tflite(
            network,
            files[name],
            license_name="Apache-2.0",
            quantize=choice["quantize"],
            overwrite=True,
            **more,
        )
        if choice.get("keras"):
            write_trained(network, recipe["into"] / f"{name}.keras")
    return files


def measure(recipe, files, options):
    """Measures files (name -> path), all on the same pictures."""
    from kcolor.benchmark import benchmark
    from kcolor.evaluation import evaluate
    from kcolor.runtimes.resolve import load_predictor

    predictors = [load_predictor(str(file)) for file in files.values()]
    for name, predictor in zip(files, predictors, strict=True):
        predictor.name = name
    figures = evaluate(
        predictors,
        recipe["test"],
        lpips_weights=options.weights / "lpips_alex.safetensors",
        limit=options.limit,
        by_group=True,
    )
    # What was measured, not where it lay on the machine that did it.
    protocol = figures["protocol"]
    protocol["data"] = Path(protocol["data"]).name
    for entry in protocol["models"].values():
        entry["path"] = Path(entry["path"]).name
    speed = benchmark([str(file) for file in files.values()], threads=[1])
    milliseconds = {False: {}, True: {}}
    for row in speed["rows"]:
        median = round(row["latency_ms"]["median"], 1)
        milliseconds[row["hints"]][Path(row["model"]).stem] = median
    return {
        "evaluation": figures,
        "hints": measure_hints(predictors, recipe, options),
        "milliseconds": milliseconds[False],
        "hinted_milliseconds": milliseconds[True],
        "machine": speed["machine"],
    }


def measure_hints(predictors, recipe, options):
    """Measures those that take known colors with more and more of them, or none."""
    from kcolor.evaluation.hint_curve import hint_curve

    hinted = [predictor for predictor in predictors if predictor.takes_known]
    if not hinted:
        return None
    limit = min(HINTED, options.limit or HINTED)
    curve = hint_curve(hinted, recipe["test"], limit=limit)
    # They are drawn again from the pictures' names.
    return {key: curve[key] for key in ("protocol", "rows")}


def write_cards(recipe, runs, files, measured, options):
    """Writes each file's results in full and, of those, its card."""
    common = describe(recipe, runs, options)
    for name, file in files.items():
        result = {
            "name": name,
            "megabytes": round(file.stat().st_size / 1e6, 2),
            "milliseconds": measured["milliseconds"][name],
            "machine": measured["machine"],
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            **of_keras(file.with_suffix(".keras")),
            **common,
            "figures": of_one(measured["evaluation"], name),
        }
        if name in measured["hinted_milliseconds"]:
            result["hinted_milliseconds"] = measured["hinted_milliseconds"][name]
            result["hints"] = hints_of_one(measured["hints"], name)
        (options.results / f"{name}.json").write_text(
            json.dumps(result, indent=1) + "\n"
        )
        path = recipe["into"] / f"{name}.json"
        path.write_text(card_text({**result, **recipe["card"]}), encoding="utf-8")
        print(f"{file}: {result['megabytes']} MB, {path}")
        for row in result["figures"]["rows"]:
            values = ((metric, row.get(metric)) for metric in METRICS)
            print(row["model"], {k: v and round(v, 4) for k, v in values})


def of_keras(path):
    """Returns what a card says of a `.keras` file, if there is one."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    said = {
        "megabytes": round(len(content) / 1e6, 2),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {"keras": said}


def card_text(result):
    """Returns a card: what a user of a model wants to know, in at most 2 kB of JSON."""
    figures = result["figures"]
    protocol = {
        key: figures["protocol"][key]
        for key in ("data", "images", "size", "list_sha256")
    }
    names = ("model", "images", *METRICS, *(f"{metric}_ci95" for metric in METRICS))
    rows = [
        {name: _rounded(row[name]) for name in names if row.get(name) is not None}
        for row in figures["rows"]
    ]
    machine = {key: result["machine"][key] for key in ("processor", "cores")}
    keys = ("name", "system", "parameters", "megabytes", "milliseconds")
    prose = ("sha256", "keras", "license", "intended_use", "data", "seen")
    hinted = {}
    if "hints" in result:
        row = result["hints"]["rows"][-1]
        curve = zip(row["hints"], row["psnr"], strict=True)
        hinted = {
            "hinted_milliseconds": result["hinted_milliseconds"],
            "psnr_by_hints": {str(count): _rounded(value) for count, value in curve},
        }
    card = {
        **{key: result[key] for key in keys},
        **hinted,
        "machine": machine,
        **{key: result[key] for key in prose if key in result},
        "figures": {"protocol": protocol, "rows": rows},
    }
    # A line for each key and for each row of figures: short, and fit for a diff.
    lines = [f' "{k}": {json.dumps(v)}' for k, v in card.items() if k != "figures"]
    shown = ",\n".join("   " + json.dumps(row, separators=(",", ":")) for row in rows)
    lines.append(
        f' "figures": {{\n  "protocol": {json.dumps(protocol)},\n'
        f'  "rows": [\n{shown}\n  ]\n }}'
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rounded(value):
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def describe(recipe, runs, options):
    """Returns what the results of all files of a model share."""
    from kcolor.runtimes.keras import load_model
    from kcolor.runtimes.run_folder import read_config, read_history

    config = read_config(runs[-1])
    histories = [read_history(run) for run in runs]
    crops, seconds = 0, 0.0
    for stage, history in zip(recipe["stages"], histories, strict=True):
        drawn = stage["steps_per_epoch"] * stage.get("batch_size", 16)
        crops += drawn * len(history)
        seconds += sum(drawn / row["images_per_second"] for row in history)
    stages = [
        {key: _without_folders(value, options) for key, value in stage.items()}
        for stage in recipe["stages"]
    ]
    return {
        "system": recipe["system"],
        "parameters": load_model(runs[-1]).count_params(),
        **recipe["card"],
        "before": before(recipe),
        "recipe": stages,
        "chroma": recipe.get("chroma", 1.0),
        "compute": f"{crops:,} crops in {seconds / 3600:.1f} h",
        "commit": config["commit"],
        "versions": config["versions"],
        "note": options.note,
        "history": histories,
    }


def _without_folders(value, options):
    if isinstance(value, list):
        return [_without_folders(part, options) for part in value]
    if isinstance(value, dict):
        return {k: _without_folders(part, options) for k, part in value.items()}
    for folder in (options.corpus, options.weights):
        if isinstance(value, str):
            value = value.removeprefix(f"{folder.as_posix()}/")
    return value


def before(recipe):
    """Says what the network answers before it is trained, after looking at it."""
    import numpy as np

    network = untrained(recipe)
    for lightness in spread_lightness(recipe["test"], 256):
        if np.any(network.predict_on_batch(lightness)):
            sys.exit(f"{recipe['name']}: an untrained network must answer gray")
    return (
        "The pretrained encoder under an untrained decoder scores as the row gray: the "
        "head starts at zero, so every ab is exactly 0 (looked at on 32 pictures)."
    )


def of_one(figures, name):
    """Keeps the rows gray and NAME of an evaluation of several models."""

    def rows(result):
        kept = [row for row in result["rows"] if row["model"] in ("gray", name)]
        return {**result, "rows": kept}

    figures = rows(figures)
    figures["groups"] = [rows(group) for group in figures["groups"]]
    figures["differences"] = [
        entry
        for entry in figures["differences"]
        if {entry["a"], entry["b"]} == {"gray", name}
    ]
    return figures


def hints_of_one(curve, name):
    """Keeps what hints do without a network, beside NAME, and inside NAME."""
    names = ("gray + spread alone", f"{name} + spread", f"{name}, hinted")
    rows = {row["model"]: row for row in curve["rows"]}
    return {**curve, "rows": [rows[name] for name in names]}


if __name__ == "__main__":
    main()
