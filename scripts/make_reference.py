#!/usr/bin/env python
"""Writes the pages of docs/ that are made from the code: run by scripts/docs.

docs/reference/ receives the command line from click, the models' table from their cards
and a page for each room of the package, whose docstrings mkdocstrings fills in.
CONTRIBUTING.md and CHANGELOG.md become pages. Git ignores all of them.
"""

import inspect
import shutil
from pathlib import Path

import click

from kcolor import presets
from kcolor.cli.main import main as command_line

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# A page of the Python reference: what it says on top, and the rooms that it shows.
ROOMS = {
    "color": ("From sRGB to Lab and back.", ["color"]),
    "images": ("From files to pixels and back.", ["images"]),
    "inference": ("Colorizing photographs: the light install.", ["inference"]),
    "runtimes": ("Running a network, whatever file it is in.", ["runtimes"]),
    "data": ("Photographs in: sources and pipelines.", ["data"]),
    "models": ("The networks.", ["models"]),
    "metrics": (
        "What trainings minimize, what evaluations say.",
        ["losses", "metrics"],
    ),
    "training": ("`kcolor fit` in Python.", ["training"]),
    "evaluation": ("`kcolor evaluate` in Python.", ["evaluation"]),
    "export": ("`kcolor export` in Python.", ["export"]),
}
METRICS = {"psnr": 2, "ssim": 3, "lpips": 3, "ciede2000": 2, "colorfulness": 1}


def main():
    reference = DOCS / "reference"
    shutil.rmtree(reference, ignore_errors=True)
    (reference / "python").mkdir(parents=True)
    (reference / "command-line.md").write_text(command_line_page())
    shipped = presets.in_folder(ROOT / "kcolor" / "presets", "kcolor")
    shipped += presets.in_folder(ROOT / "models" / "kcolor_models", "kcolor-models")
    described = [(preset, preset.card()) for preset in shipped]
    (reference / "models.md").write_text(models_page(described))
    for name, (title, rooms) in ROOMS.items():
        (reference / "python" / f"{name}.md").write_text(room_page(name, title, rooms))
    for source, page in (("CONTRIBUTING", "contributing"), ("CHANGELOG", "changelog")):
        shutil.copyfile(ROOT / f"{source}.md", DOCS / f"{page}.md")


def command_line_page():
    lines = [
        "# Command line",
        "",
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. A failure "
        "is one line that names the file or value.",
        "",
    ]
    for name, command in commands(command_line, "kcolor"):
        lines += command_section(name, command)
    return "\n".join(lines)


def commands(command, name):
    """Yields the commands that do something, with their full names."""
    if isinstance(command, click.Group):
        for part in sorted(command.commands):
            yield from commands(command.commands[part], f"{name} {part}")
    else:
        yield name, command


def command_section(name, command):
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", "```", f"{name} {usage}", "```", ""]
    for block in inspect.cleandoc(command.help or "").split("\n\n"):
        # \b marks a block whose lines click leaves as they are.
        if block.startswith("\b"):
            lines += ["```", block.removeprefix("\b").strip("\n"), "```", ""]
        else:
            lines += [escaped(" ".join(block.split())), ""]
    lines += ["| option | what it does |", "|---|---|"]
    for option in command.params:
        names, text = option.get_help_record(context) or ("", "")
        if text:
            lines.append(f"| `{names}` | {escaped(text)} |")
    return [*lines, ""]


def escaped(text):
    """Keeps Markdown from taking what click shows for its own marks."""
    for mark in "\\`*_[]<>|":
        text = text.replace(mark, f"\\{mark}")
    return text


def models_page(described):
    """Makes the page of what the repository ships, (preset, card) each."""
    lines = [
        "# Models",
        "",
        "Means over the same test photographs, whole pictures at 256x256. "
        "[How they are measured](../evaluation.md). `kcolor models` prints this table, "
        "and has what other installed packages bring.",
        "",
        "| model | comes with | MB | ms | " + " | ".join(METRICS) + " |",
        "|---" * (4 + len(METRICS)) + "|",
    ]
    gray = None
    for preset, card in described:
        gray, own = (
            " | ".join(
                f"{row[metric]:.{digits}f}" for metric, digits in METRICS.items()
            )
            for row in card["figures"]["rows"]
        )
        lines.append(
            f"| {preset.name} | {preset.origin} | {card['megabytes']:.1f} "
            f"| {card['milliseconds']:.0f} | {own} |"
        )
    lines.append(f"| gray, the input as it is | | | | {gray} |")
    lines += ["", "ms: a picture of 256x256 on one thread of a server's CPU.", ""]
    for preset, card in described:
        lines += [f"## {preset.name}", ""]
        for key in ("intended_use", "data", "seen", "license"):
            if key in card:
                lines += [f"**{key.replace('_', ' ')}:** {escaped(card[key])}", ""]
    return "\n".join(lines)


def room_page(name, title, rooms):
    lines = [f"# {name}", "", title, ""]
    for room in rooms:
        for module in modules(room):
            lines += [f"::: {module}", ""]
    return "\n".join(lines)


def modules(room):
    """Yields the names of a room's modules that hold something."""
    alone = ROOT / "kcolor" / f"{room}.py"
    paths = (
        [alone] if alone.exists() else sorted((ROOT / "kcolor" / room).rglob("*.py"))
    )
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


if __name__ == "__main__":
    main()
