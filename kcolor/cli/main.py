"""The command line: click only. Each command imports what it needs when it runs.

Errors that a user can mend (DataError, ValueError, OSError) become one line and exit 1
here and nowhere else; click itself answers wrong usage with exit 2.
"""

import logging
from typing import Any

import click

from kcolor import __version__
from kcolor.cli.benchmark import benchmark
from kcolor.cli.colorize import colorize
from kcolor.cli.data import data
from kcolor.cli.evaluate import evaluate
from kcolor.cli.evaluate_film import evaluate_film
from kcolor.cli.export import export
from kcolor.cli.fit import fit
from kcolor.cli.models import models
from kcolor.cli.serve import serve
from kcolor.cli.shared import log_to_terminal
from kcolor.errors import DataError, one_line
from kcolor.process import interrupts_kept

# Module that a command cannot do without -> extra that brings it.
_EXTRAS = {
    "tfds": ("tensorflow_datasets",),
    "video": ("av",),
    "ray": ("ray", "fsspec"),
    "serve": ("starlette", "uvicorn", "multipart", "python_multipart"),
    "train": ("tensorflow", "keras", "skimage", "jinja2", "safetensors", "h5py"),
    "export": (
        "tf2onnx",
        "onnx",
        "onnxruntime",
        "ai_edge_quantizer",
        "tensorflow_serving",
    ),
}


class _Group(click.Group):
    """Turns the errors of every command into one line and the agreed exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interrupts_kept():
                return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except (DataError, ValueError, OSError, ModuleNotFoundError) as error:
            # A closed pipe, as of `| head`, is nothing to complain of; click ends then.
            if ctx.params["debug"] or isinstance(error, BrokenPipeError):
                raise
            missing = isinstance(error, ModuleNotFoundError)
            said = _missing(error) if missing else one_line(error)
            raise click.ClickException(said) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


def _missing(error):
    module = (error.name or "").split(".")[0]
    for extra, modules in _EXTRAS.items():
        if module in modules:
            return (
                f"this command needs {module}, which is not installed. "
                f"Install it with: pip install 'kcolor[{extra}]'"
            )
    if module == "kcolor":  # a broken install, not something to install
        raise error
    return f"this command needs {module}, which is not installed"


@click.group(
    cls=_Group,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(__version__, prog_name="kcolor")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
def main(debug: bool) -> None:
    """Colorize black-and-white photographs; train, evaluate and export the models."""
    if debug:
        log_to_terminal(logging.DEBUG)


for command in (
    fit,
    colorize,
    serve,
    models,
    evaluate,
    evaluate_film,
    data,
    export,
    benchmark,
):
    main.add_command(command)
