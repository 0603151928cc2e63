"""`kcolor models`."""

import textwrap

import click

from kcolor.cli.shared import MODEL
from kcolor.errors import DataError

# Metric -> digits to show.
_DIGITS = {"psnr": 2, "ssim": 3, "lpips": 3, "ciede2000": 2, "colorfulness": 2}
_WIDTH = 88
# What the table says, and what is for programs.
_NO_PROSE = ("name", "bundled", "megabytes", "milliseconds", "figures", "history")


@click.command()
@click.argument("name", type=MODEL, required=False)
def models(name: str | None) -> None:
    """List the models of kcolor with their size, speed and figures.

    With NAME, show that model's card: what it was made from and what it is good for.
    """
    from kcolor import presets
    from kcolor.benchmark import align

    cards = presets.cards()
    if not cards:
        raise DataError("no preset comes with this installation")
    if name is not None:
        if name not in cards:
            raise DataError(f"there is no model {name!r} (models: {', '.join(cards)})")
        cards = {name: cards[name]}
    click.echo(align(_table(cards)))
    click.echo(_legend(cards))
    if name is not None:
        for key, value in cards[name].items():
            if key not in _NO_PROSE and value not in (None, []):
                click.echo(_paragraph(key, value))


def _table(cards):
    lines = [["model", "bundled", "MB", "ms", *_DIGITS]]
    for name, card in cards.items():
        gray, own = (
            [f"{row[metric]:.{count}f}" for metric, count in _DIGITS.items()]
            for row in card["figures"]["rows"]
        )
        if len(lines) == 1:  # All cards are of the same pictures.
            lines.append(["(left gray)", "", "", "", *gray])
        bundled = "yes" if card["bundled"] else "no"
        size, speed = f"{card['megabytes']:.1f}", f"{card['milliseconds']:.0f}"
        lines.append([name, bundled, size, speed, *own])
    return lines


def _legend(cards):
    card = next(iter(cards.values()))
    protocol = card["figures"]["protocol"]
    return (
        f"ms: 256x256 on one thread of {card['machine']['processor']}; the rest: means "
        f"over {protocol['images']} test pictures at {protocol['size']}."
    )


def _paragraph(key, value):
    # A list's parts, such as a recipe's stages, each begin a line of their own.
    parts = value if isinstance(value, list) else [value]
    lines = [f"{key.replace('_', ' ')}: {_plain(parts[0])}", *map(_plain, parts[1:])]
    return "\n" + "\n".join(
        textwrap.fill(
            line,
            _WIDTH,
            initial_indent="    " if number else "",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(lines)
    )


def _plain(value):
    if isinstance(value, dict):
        known = {key: part for key, part in value.items() if part is not None}
        return ", ".join(f"{key} {_plain(part)}" for key, part in known.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value > 9999:
        return f"{value:,}"
    return str(value)
