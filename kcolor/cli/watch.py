"""`kcolor colorize FOLDER --watch`."""

from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import click

from kcolor.cli.shared import is_debugging
from kcolor.inference.jobs import Settings


def watch_folder(
    inputs: tuple[str, ...],
    kind: str | None,
    options: dict[str, Any],
    network: dict[str, Any],
    settings: Settings,
) -> None:
    """Colorizes what arrives in a folder, until it is interrupted.

    Args:
        inputs: INPUT... of the command.
        kind: Format of all results, or None.
        options: Options of the command.
        network: Keyword arguments of `Colorizer`.
        settings: How to write the results.

    Raises:
        DataError: If the input is no folder.
        click.UsageError: If an option says more than one folder can mean.
    """
    if len(inputs) > 1 or settings.hints or options["engine"] != "local":
        raise click.UsageError("--watch takes one folder, no hints, no --engine.")
    from kcolor.inference.colorizer import Colorizer
    from kcolor.inference.log import StatusLog
    from kcolor.inference.watch import Watch, watch
    from kcolor.parallel import cores
    from kcolor.process import silent_libraries

    watched = Watch(
        inputs[0],
        options["output"],
        kind,
        options["recursive"],
        options["overwrite"],
        options["codec"],
        options["shard"],
        films=find_spec("av") is not None,
    )
    workers = options["jobs"] or cores()
    with ExitStack() as stack:
        log = None
        if options["log"]:
            log = stack.enter_context(StatusLog(options["log"])).append
        if not is_debugging():
            stack.enter_context(silent_libraries())
        colorizer = Colorizer(threads=max(1, cores() // workers), **network)
        click.echo(f"Watching {inputs[0]} (Ctrl-C ends it)", err=True)
        for news in watch(watched, colorizer, settings, workers, log):
            if isinstance(news, str):
                click.echo(news, err=True)
            elif news.error is not None:
                click.echo(f"Error: {news.error}", err=True)
            else:
                click.echo(news.output)
