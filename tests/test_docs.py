"""Tests that the commands of the documentation are commands of kcolor."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from kcolor.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "index.md"]
PAGES += [ROOT / "docs" / f"{page}.md" for page in ("evaluation", "protocols")]
PAGES += [*(ROOT / "docs" / "guides").glob("*.md")]
PAGES += [ROOT / "examples" / "first_hour.ipynb", *(ROOT / "examples").glob("*.py")]
PAGES += [
    ROOT / "export" / part / "README.md" for part in ("cluster", "mobile", "serving")
]


def command_lines(text):
    """Finds the lines that call kcolor; a notebook's end in an escaped newline."""
    text = text.replace('\\\\\\n",\n    "', " ")
    for line in re.findall(r'^\s*"?(kcolor [a-z].*)$', text, re.MULTILINE):
        line = line.split(" #")[0].split(" 2>")[0].split("<")[0]
        words = shlex.split(line.split("\\n")[0].replace("...", "").strip('"'))
        if words[-1:] != ["|"]:
            yield words[1:]


def parse(words):
    command, context = main, click.Context(main, info_name="kcolor")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    if not {"-h", "--help"} & set(words):
        command.parse_args(context, list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_are_understood(page):
    for words in command_lines(page.read_text(encoding="utf-8")):
        try:
            parse(words)
        except click.UsageError as error:
            pytest.fail(f"kcolor {' '.join(words)}: {error.format_message()}")


def test_commands_are_found():
    counts = [len(list(command_lines(page.read_text()))) for page in PAGES]
    assert sum(counts) > 40, dict(zip(PAGES, counts, strict=True))


def test_the_first_page_lists_every_install_and_what_all_holds():
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `pip install '\.\[(\w+)\]'` \| (.+) \|$", page, re.M))
    assert set(rows) == set(extras) - {"docs", "dev"}
    held = re.fullmatch(r"kcolor\[(.+)\]", extras["all"][0])[1].split(",")
    assert re.findall(r"`(\w+)`", rows["all"]) == held


def test_what_is_no_command_fails():
    with pytest.raises(click.UsageError):
        parse(["colorize", "photo.jpg", "--no-such-option"])
