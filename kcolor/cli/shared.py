"""What several commands share."""

import logging
import os
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from kcolor.errors import DataError
from kcolor.training.options import FitOptions, choices, value_type


class _Model(click.ParamType):
    """The MODEL of every command: the shell completes presets' names, or paths."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from kcolor import presets

        names = [preset.name for preset in presets.listed()[0]]
        found = [name for name in names if name.startswith(incomplete)]
        # Of type "file": the shell looks for files itself.
        return list(map(CompletionItem, found)) or [CompletionItem(incomplete, "file")]


MODEL = _Model()


def fit_options(*names: str) -> Callable[[Callable], Callable]:
    """Makes a decorator that adds options of `fit`, as `FitOptions` describes them.

    Args:
        *names: Names of the class' fields, in the order that help shows.
    """
    described = {option.name: option for option in fields(FitOptions)}

    def add(command: Callable) -> Callable:
        for name in reversed(names):
            command = _click_option(described[name])(command)
        return command

    return add


def _click_option(option):
    settings: dict[str, Any] = {
        "default": None if option.default is MISSING else option.default,
        "help": option.metadata["help"],
        "metavar": option.metadata["metavar"],
    }
    kind, allowed = value_type(option.name), choices(option.name)
    if kind is bool:
        settings["is_flag"] = True
    elif option.default == ():
        settings["multiple"] = True
    elif option.metadata["metavar"] == "MODEL":
        settings["type"] = MODEL
    else:
        settings["type"] = click.Choice(allowed) if allowed else kind
    return click.option(f"--{option.name.replace('_', '-')}", **settings)


# Options of several commands.
model_option = click.option(
    "--model",
    type=MODEL,
    default="mobile",
    help="Preset, run folder, or .keras, .tflite, .onnx or SavedModel path.",
)


def writable(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    """Refuses a file to write that could not be, before any work: a click callback."""
    if value and not ctx.resilient_parsing:
        folder = Path(value).absolute().parent
        if not folder.is_dir():
            raise DataError(f"{value}: cannot be written; there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise DataError(f"{value}: cannot be written; {folder} is not writable")
        if Path(value).is_dir():
            raise DataError(f"{value}: cannot be written; it is a folder")
    return value


json_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    callback=writable,
    help="Write the figures as JSON.",
)
augmentation_options = fit_options("crop_min", "crop_max", "whole_share", "degrade")


def is_debugging() -> bool:
    """Whether the command runs under `kcolor --debug`."""
    return click.get_current_context().find_root().params.get("debug", False)


def log_to_terminal(level: int = logging.INFO) -> None:
    """Shows what `kcolor` logs, each line with the time of day.

    Args:
        level: Least level to show; a lower one that was set before stays.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    package = logging.getLogger("kcolor")
    package.handlers[:] = [handler]
    package.setLevel(min(level, package.level or level))
