"""`kcolor fit`."""

from dataclasses import fields
from typing import Any

import click

from kcolor.cli.shared import fit_options, log_to_terminal
from kcolor.training.options import FitOptions, choices

_NAMES = [option.name for option in fields(FitOptions)]


@click.command()
@click.argument("system", type=click.Choice(choices("system")))
@click.option(
    "-o",
    "--output",
    "run",
    required=True,
    type=click.Path(file_okay=False),
    help="Run folder to write.",
)
@fit_options(*(name for name in _NAMES if name not in ("system", "run")))
@click.pass_context
def fit(ctx: click.Context, **arguments: Any) -> None:
    """Train SYSTEM on a folder of color photographs.

    The run folder receives model.keras, history.csv, sample pictures, TensorBoard logs
    and checkpoints. With --resume, options that are not given are the run's own.
    """
    from kcolor.process import keep_freed_memory
    from kcolor.training.fit import fit
    from kcolor.training.run_folder import resumed_options

    log_to_terminal()
    keep_freed_memory()
    if arguments["resume"]:
        given = {
            name: value
            for name, value in arguments.items()
            if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        }
        options = resumed_options(**given)
    else:
        options = FitOptions(**arguments)
    history = fit(options)
    click.echo(
        f"{options.run}: {len(history)} epochs, "
        f"validation PSNR {history[-1]['val_psnr']:.2f} dB "
        f"(gray: {history[-1]['val_psnr_gray']:.2f})"
    )
