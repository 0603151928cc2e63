"""The table of formats: one row each, found by name and by first bytes."""

import io

import pytest
from PIL import Image

from kcolor.images import formats


@pytest.mark.parametrize("row", formats.FORMATS, ids=lambda row: row.name)
def test_a_format_is_found_by_each_of_its_names(row):
    for suffix in row.suffixes:
        assert formats.of_name(f"folder.png/a{suffix.upper()}") is row
    assert all(formats.CHOICES[choice] == row.name for choice in row.choices)
    assert all(f".{choice}" in row.suffixes for choice in row.choices)


def test_no_two_formats_share_a_name():
    suffixes = [suffix for row in formats.FORMATS for suffix in row.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert formats.of_name("notes.txt") is formats.of_name("png") is None


@pytest.mark.parametrize(
    "row", [row for row in formats.FORMATS if row.writable], ids=lambda row: row.name
)
def test_a_format_is_found_by_its_first_bytes(row):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 3), "red").save(buffer, row.name)
    assert formats.of_bytes(buffer.getvalue()[:12]) is row


def test_a_result_keeps_its_format_where_it_can_be_written():
    assert formats.written_as(formats.BY_NAME["PNG"]).name == "PNG"
    assert formats.written_as(formats.BY_NAME["HEIC"]).name == "JPEG"
    assert formats.written_as(None).name == "JPEG"
