"""`kcolor fit`."""

from dataclasses import fields
from typing import Any

import click

from kcolor.cli.shared import fit_options, log_to_terminal
from kcolor.errors import DataError
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
@click.option(
    "--coordinator",
    metavar="HOST:PORT",
    envvar="KERAS_DISTRIBUTION_JOB_ADDRESSES",
    show_envvar=True,
    help="Train with other processes, each started by this command: where the first "
    "of them listens. With KERAS_BACKEND=jax.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    envvar="KERAS_DISTRIBUTION_NUM_PROCESSES",
    show_envvar=True,
    help="How many there are.",
)
@click.option(
    "--process-id",
    type=click.IntRange(0),
    envvar="KERAS_DISTRIBUTION_PROCESS_ID",
    show_envvar=True,
    help="Which of them this is, from 0 on.",
)
@click.pass_context
def fit(
    ctx: click.Context,
    coordinator: str | None,
    processes: int | None,
    process_id: int | None,
    **arguments: Any,
) -> None:
    """Train SYSTEM on a folder of color photographs.

    The run folder receives model.keras, history.csv, sample pictures, TensorBoard logs
    and checkpoints. With --resume, options that are not given are the run's own.
    """
    if arguments["resume"]:
        arguments = {
            name: value
            for name, value in arguments.items()
            if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        }
    if coordinator is None and processes is None and process_id is None:
        _say(arguments["run"], _train(arguments))
        return
    if coordinator is None or processes is None or process_id is None:
        raise click.UsageError(
            "--coordinator, --processes and --process-id go together."
        )
    from kcolor.process import in_own_process

    try:
        history = in_own_process(
            _train_together, arguments, coordinator, processes, process_id
        )
    except ChildProcessError as error:
        raise DataError(
            f"{arguments['run']}: this process of the training was ended, most likely "
            "because another has ended. Start all of them again with --resume"
        ) from error
    if process_id == 0:
        _say(arguments["run"], history)


def _say(run: str, history: list[dict[str, float]]) -> None:
    click.echo(
        f"{run}: {len(history)} epochs, "
        f"validation PSNR {history[-1]['val_psnr']:.2f} dB "
        f"(gray: {history[-1]['val_psnr_gray']:.2f})"
    )


def _train_together(arguments, coordinator, processes, process_id):
    from kcolor.training.processes import join

    join(coordinator, processes, process_id)
    return _train(arguments)


def _train(arguments):
    from kcolor.process import keep_freed_memory
    from kcolor.training.fit import fit
    from kcolor.training.run_folder import resumed_options

    log_to_terminal()
    keep_freed_memory()
    resumes = arguments.get("resume")
    return fit(resumed_options(**arguments) if resumes else FitOptions(**arguments))
