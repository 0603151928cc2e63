"""What several commands share."""

import logging

import click
from click.shell_completion import CompletionItem


class _Model(click.ParamType):
    """The MODEL of every command: the shell completes presets' names, or paths."""

    name = "model"

    def shell_complete(self, ctx, param, incomplete):
        from kcolor import presets

        found = [name for name in presets.names() if name.startswith(incomplete)]
        # Of type "file": the shell looks for files itself.
        return list(map(CompletionItem, found)) or [CompletionItem(incomplete, "file")]


MODEL = _Model()


def augmentation_options(command):
    """Adds the options of augmentation, which `fit` and `data preview` share."""
    options = (
        click.option(
            "--crop-min",
            default=0.5,
            show_default=True,
            help="Least side of a crop, as a share of the picture's shorter side.",
        ),
        click.option(
            "--crop-max",
            default=1.0,
            show_default=True,
            help="Greatest side of a crop.",
        ),
        click.option(
            "--degrade",
            default=0.0,
            show_default=True,
            help="Share of inputs made to look like old photographs.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


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
