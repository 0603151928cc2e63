"""`kcolor models`."""

import click

from kcolor.errors import DataError


@click.command()
def models():
    """List the models of kcolor with their size, speed and figures."""
    from kcolor import presets
    from kcolor.benchmark import align

    cards = presets.cards()
    if not cards:
        raise DataError("no preset comes with this installation")
    digits = {"psnr": 2, "ssim": 3, "lpips": 3, "ciede2000": 2, "colorfulness": 2}
    lines = [["model", "bundled", "MB", "ms", *digits]]
    for name, card in cards.items():
        gray, own = (
            [f"{row[metric]:.{count}f}" for metric, count in digits.items()]
            for row in card["figures"]["rows"]
        )
        if len(lines) == 1:  # All cards are of the same pictures.
            lines.append(["(left gray)", "", "", "", *gray])
        bundled = "yes" if card["bundled"] else "no"
        size, speed = f"{card['megabytes']:.1f}", f"{card['milliseconds']:.0f}"
        lines.append([name, bundled, size, speed, *own])
    click.echo(align(lines))
    protocol = card["figures"]["protocol"]
    click.echo(
        f"\nms: a picture of 256x256 on one thread of {card['machine']['processor']}. "
        f"Figures: means over {protocol['images']} test pictures at {protocol['size']}."
    )
    for name, card in cards.items():
        click.echo(f"\n{name}")
        for key, value in card.items():
            if isinstance(value, str) and key != "name":
                click.echo(f"    {key}: {value}")
