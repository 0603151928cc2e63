"""What several commands share."""

from contextlib import contextmanager

import click


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


def log_to_terminal():
    """Shows what `kcolor` logs, each line with the time of day."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    package = logging.getLogger("kcolor")
    package.handlers[:] = [handler]
    package.setLevel(logging.INFO)


@contextmanager
def progress_bar(title):
    """Yields a function of (done, total): a bar on a terminal, or plain lines."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    announced = set()

    def show(done, total):
        bar.update(task, completed=done, total=total)
        tenth = 10 * done // total
        if bar.disable and tenth not in announced:
            announced.add(tenth)
            click.echo(f"{title} {done} of {total} pictures.", err=True)

    with bar:
        task = bar.add_task(title)
        yield show
