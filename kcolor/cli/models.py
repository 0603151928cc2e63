"""`kcolor models`."""

import textwrap

import click

from kcolor.cli.shared import MODEL
from kcolor.errors import DataError

# Metric -> digits to show.
_DIGITS = {"psnr": 2, "ssim": 3, "lpips": 3, "ciede2000": 2, "colorfulness": 2}
_WIDTH = 88
# What the table says, and what is for programs.
_NO_PROSE = ("name", "megabytes", "milliseconds", "figures", "history")


@click.command()
@click.argument("name", type=MODEL, required=False)
def models(name: str | None) -> None:
    """List the models of kcolor with their size, speed and figures.

    Those that installed packs bring are among them. With NAME, show that model's card:
    what it was made from and what it is good for.
    """
    from kcolor import presets
    from kcolor.benchmark import align

    if name is not None:
        preset = presets.find(name)
        card = preset.figures_card()
        click.echo(align(_table([(preset, card)])))
        click.echo(_legend([card]))
        for key, value in card.items():
            if key not in _NO_PROSE and value not in (None, []):
                click.echo(_paragraph(key, value))
        return
    found, faults = presets.listed()
    described = []
    for preset in found:
        try:
            described.append((preset, preset.figures_card()))
        except DataError as error:
            faults.append(str(error))
    click.echo(align(_table(described)))
    click.echo(_legend([card for _, card in described]))
    for fault in faults:
        click.echo(f"Warning: {fault}", err=True)


def _table(described):
    lines = [["model", "from", "MB", "ms", *_DIGITS]]
    pictures = _pictures([card for _, card in described])
    for preset, card in described:
        size, speed = (
            f"{card[key]:.{digits}f}" if key in card else "-"
            for key, digits in (("megabytes", 1), ("milliseconds", 0))
        )
        gray, own = [["-"] * len(_DIGITS)] * 2
        if pictures and _pictures([card]) == pictures:
            gray, own = (
                [f"{row[metric]:.{count}f}" for metric, count in _DIGITS.items()]
                for row in card["figures"]["rows"]
            )
            if len(lines) == 1:
                lines.append(["(left gray)", "", "", "", *gray])
        lines.append([preset.name, preset.origin, size, speed, *own])
    return lines


def _pictures(cards):
    """Returns what the first measured model was measured on: only equals compare."""
    found = (card.get("figures", {}).get("protocol") for card in cards)
    return next(filter(None, found), None)


def _legend(cards):
    processors = {
        card["machine"]["processor"]: None for card in cards if "machine" in card
    }
    parts = []
    if processors:
        parts.append(f"ms: 256x256 on one thread of {', '.join(processors)}")
    pictures = _pictures(cards)
    if pictures:
        parts.append(
            f"the rest: means over {pictures['images']} test pictures at "
            f"{pictures['size']}"
        )
    if any(_pictures([card]) != pictures for card in cards):
        parts.append("-: not measured, or on other pictures")
    # A processor's name may be long.
    return textwrap.fill("; ".join(parts) + ".", _WIDTH)


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
