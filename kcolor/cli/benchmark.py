"""`kcolor benchmark`."""

import click

from kcolor.cli.shared import MODEL, json_option


@click.command()
@click.argument("models", nargs=-1, required=True, type=MODEL, metavar="MODEL...")
@click.option("--size", type=click.IntRange(1), default=256)
@click.option(
    "--threads",
    type=click.IntRange(1),
    multiple=True,
    default=(1, 2),
    help="Repeatable.",
)
@json_option
def benchmark(
    models: tuple[str, ...],
    size: int,
    threads: tuple[int, ...],
    json_file: str | None,
) -> None:
    """Measure models beside each other: latency, throughput, load time, memory.

    Each model and thread count runs in a process of its own; they take turns. A GPU
    that a model's runtime finds is used, and the column device names it.
    """
    from kcolor.benchmark import benchmark, table
    from kcolor.files import write_json

    result = benchmark(models, size, threads)
    click.echo(table(result["rows"]))
    if json_file:
        write_json(json_file, result)
