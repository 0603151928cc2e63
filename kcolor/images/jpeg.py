"""JPEG files taken apart into scans, and three gray ones put together to one in color.

A scan of one component holds the same bytes in a gray file and in a color one (ITU-T
T.81, A.2.2), so luma goes from one to the other without being decoded, and no
coefficient of it can change. Only the scans of most color files, in which luma and
chroma take turns, have to be coded anew; libjpeg's own `jpegtran` does that, in a
process of its own: it changes no coefficient either.

What a reader would get wrong: tables and restart intervals hold until they are defined
again, so what stands in front of a scan that is left out may belong to the next.
"""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kcolor.errors import DataError

JPEGTRAN = "jpegtran"
HOW_TO_INSTALL = "apt install libjpeg-turbo-progs, brew install jpeg-turbo"
# A minute is for a hundred megapixels; a file that takes longer was made to.
_PATIENCE = 60.0

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD
_APP0, _APP14, _COM = 0xE0, 0xEE, 0xFE
_SOF_HUFFMAN = (0xC0, 0xC1, 0xC2)  # Baseline, extended and progressive.
_PROGRESSIVE = 0xC2
_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
# What the other frames are; T.81, table B.1.
_OTHER_FRAMES = {
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "arithmetically coded"),
}


class Component(NamedTuple):
    """One component of a frame: its name, sampling factors and quantization table."""

    name: int
    across: int
    down: int
    table: int


@dataclass
class Jpeg:
    """A JPEG file's frame and scans.

    Attributes:
        frame: Marker of the frame: 0xC0 baseline, 0xC1 extended, 0xC2 progressive.
        height: Rows in pixels.
        width: Columns in pixels.
        components: The frame's components, luma first.
        table: Quantization table of the first component: its precision, then values.
        parts: Huffman tables and restart intervals, as `(marker, body)`, and scans, as
            `(0xDA, header, data)`, in the order of the file.
        is_rgb: Whether the components are red, green and blue.
        is_read: Whether `jpegtran` has read the scans and found all of them.
    """

    frame: int = 0
    height: int = 0
    width: int = 0
    components: tuple[Component, ...] = ()
    table: bytes = b""
    parts: list[tuple] = field(default_factory=list)
    is_rgb: bool = False
    is_read: bool = False

    @property
    def is_progressive(self) -> bool:
        """Whether each coefficient comes in several scans."""
        return self.frame == _PROGRESSIVE

    @property
    def sampling(self) -> tuple[int, int] | None:
        """Pixels of a sample of chroma, `(down, across)`; None: gray, or unusual."""
        luma, *chroma = self.components
        known = luma.across in (1, 2) and luma.down in (1, 2)
        if chroma and known and all(c[1:3] == (1, 1) for c in chroma):
            return luma.down, luma.across
        return None


def parse(data: bytes) -> Jpeg:
    """Takes a file apart.

    Args:
        data: Bytes of a JPEG file.

    Returns:
        Its frame and scans.

    Raises:
        DataError: If it is damaged, or of a kind whose luma cannot be copied.
    """
    jpeg = Jpeg()
    markers = _markers(data)
    tables: dict[int, bytes] = {}
    has_jfif, transform = False, None
    at = 2
    while True:
        at, marker, body = _segment(data, at)
        if marker == _EOI:
            break
        if marker == _APP0 and body.startswith(b"JFIF\0"):
            has_jfif = True
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            transform = body[11]
        elif marker == _DQT:
            tables |= _quantization(body)
        elif marker in (_DHT, _DRI):
            jpeg.parts.append((marker, body))
        elif marker == _SOS:
            if not jpeg.frame or not body or len(body) != 4 + 2 * body[0]:
                raise DataError("the JPEG is damaged")
            end = _scan_end(markers, at)
            jpeg.parts.append((marker, body, data[at:end]))
            at = end
            # It holds as it is when the component's first scan begins.
            first = jpeg.components[0]
            if not jpeg.table and first.name in _names(body):
                jpeg.table = tables.get(first.table, b"")
        elif marker in _SOF_HUFFMAN and not jpeg.frame:
            _read_frame(jpeg, marker, body)
        elif marker in _OTHER_FRAMES:
            raise DataError(f"the JPEG is {_OTHER_FRAMES[marker]}")
        elif not _APP0 <= marker <= _APP0 + 15 and marker != _COM:
            raise DataError("the JPEG is of a rare kind, or damaged")
    if not jpeg.table:
        raise DataError("the JPEG is damaged")
    names = bytes(component.name for component in jpeg.components)
    # As libjpeg decides it.
    if not has_jfif:
        jpeg.is_rgb = names == b"RGB" if transform is None else transform == 0
    return jpeg


def has_end(data: bytes) -> bool:
    """Says whether a file goes on to its end marker.

    Args:
        data: Bytes of a JPEG file, and whatever was appended to it.

    Returns:
        False for a file that is cut off or damaged before it.
    """
    markers = _markers(data)
    at = 2
    try:
        while True:
            at, marker, _ = _segment(data, at)
            if marker == _EOI:
                return True
            if marker == _SOS:
                at = _scan_end(markers, at)
    except DataError:
        return False


def luma_of(data: bytes) -> Jpeg:
    """Takes the luma out of a gray or YCbCr file.

    Args:
        data: Bytes of a JPEG file.

    Returns:
        Its frame, with all its components, and luma's scans alone.

    Raises:
        DataError: If it is damaged, of another kind, or luma and chroma take turns
            in it and there is no `jpegtran`.
    """
    jpeg = parse(data)
    luma, *chroma = jpeg.components
    if len(chroma) not in (0, 2):
        raise DataError(f"the JPEG has {len(jpeg.components)} components")
    if chroma and jpeg.is_rgb:
        raise DataError("the JPEG is of red, green and blue, without luma")
    if any(luma.across < c.across or luma.down < c.down for c in chroma):
        raise DataError("the JPEG's luma is smaller than its chroma")
    parts = _scans_of(jpeg, luma.name)
    if parts is None:
        gray = parse(_separated(data))
        parts = _scans_of(gray, gray.components[0].name)
        # Of a progressive file later scans may be missing, and it does not say so.
        jpeg.is_read = not jpeg.is_progressive
        jpeg.frame, jpeg.table = gray.frame, gray.table
    jpeg.parts = parts or []
    scans = sum(part[0] == _SOS for part in jpeg.parts)
    # Of a second one, a reader of gray files sees nothing, and one of color files all.
    if not scans or (scans > 1 and not jpeg.is_progressive):
        raise DataError("the JPEG is damaged")
    return jpeg


def alone(luma: Jpeg) -> bytes:
    """Puts a gray file together.

    Args:
        luma: As from `luma_of`.

    Returns:
        Bytes of a JPEG file that holds the luma which `join` would put into another.
    """
    frame = struct.pack(">BHHB", 8, luma.height, luma.width, 1) + b"\1\x11\0"
    whole = [b"\xff\xd8", *_packed(_DQT, luma.table), *_packed(luma.frame, frame)]
    return b"".join([*whole, *_renamed(luma, 1), b"\xff\xd9"])


def join(luma: Jpeg, chroma: Sequence[Jpeg], sampling: tuple[int, int]) -> bytes:
    """Puts a color file together.

    Args:
        luma: As from `luma_of`.
        chroma: Cb and Cr as gray files, of luma's size divided by `sampling` and
            rounded up; progressive where luma is; both with one quantization table.
        sampling: Pixels of a sample of chroma, `(down, across)`.

    Returns:
        Bytes of a YCbCr JPEG file that begins with a JFIF header of 20 bytes. Its luma
        is coded in the very bytes of `luma`.
    """
    down, across = sampling
    frame = struct.pack(">BHHB", 8, luma.height, luma.width, 3)
    frame += bytes([1, across << 4 | down, 0, 2, 0x11, 1, 3, 0x11, 1])
    whole = [b"\xff\xd8", *_packed(_APP0, _JFIF)]
    for number, table in enumerate((luma.table, chroma[0].table)):
        whole += _packed(_DQT, bytes([table[0] | number]) + table[1:])
    whole += _packed(luma.frame, frame)
    interval = 0
    for name, part in enumerate((luma, *chroma), 1):
        if interval and name > 1:
            whole += _packed(_DRI, bytes(2))
            interval = 0
        for marker, body, *_ in part.parts:
            if marker == _DRI:
                interval = int.from_bytes(body[:2], "big")
        whole += _renamed(part, name)
    whole.append(b"\xff\xd9")
    return b"".join(whole)


def _markers(data):
    # Where a marker stands, if one may: behind 0xFF, coded data has 0 or a restart.
    values = np.frombuffer(data, "uint8")
    at = np.flatnonzero(values[:-1] == 0xFF)
    after = values[at + 1]
    return at[(after != 0) & (after != 0xFF) & ((after < 0xD0) | (after > 0xD7))]


def _scan_end(markers, at):
    # Where the coded data that begins at `at` ends.
    end = markers[np.searchsorted(markers, at) :][:1]
    if not len(end):
        raise DataError("the JPEG is truncated")
    return int(end[0])


def _segment(data, at):
    # (where the next one begins, marker, body) of the segment at `at`.
    start = at
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    if at - start > 64 or len(data) < at + 2 or data[at] != 0xFF:
        raise DataError("the JPEG is damaged")
    marker = data[at + 1]
    if marker == _EOI:
        return at + 2, marker, b""
    size = int.from_bytes(data[at + 2 : at + 4], "big")
    body = data[at + 4 : at + 2 + size]
    if size < 2 or len(body) != size - 2:
        raise DataError("the JPEG is damaged")
    return at + 2 + size, marker, body


def _read_frame(jpeg, marker, body):
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise DataError("the JPEG is damaged")
    bits, jpeg.height, jpeg.width, count = struct.unpack_from(">BHHB", body)
    if bits != 8:
        raise DataError(f"the JPEG has {bits} bits")
    if not (jpeg.height and jpeg.width and count):
        raise DataError("the JPEG does not say its size")
    jpeg.frame = marker
    jpeg.components = tuple(
        Component(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2])
        for at in range(6, len(body), 3)
    )


def _quantization(body):
    # By number: precision in the upper half of the first byte, then the values.
    found, at = {}, 0
    while at < len(body):
        size = 1 + (128 if body[at] >> 4 else 64)
        found[body[at] & 15] = bytes([body[at] & 0xF0]) + body[at + 1 : at + size]
        at += size
    if at != len(body):
        raise DataError("the JPEG is damaged")
    return found


def _names(header):
    # Of the components that a scan holds.
    return header[1 : 1 + 2 * header[0] : 2]


def _scans_of(jpeg, name):
    # What belongs to one component's scans; None if it shares one with others.
    parts = []
    for part in jpeg.parts:
        if part[0] == _SOS:
            header = part[1]
            if name not in _names(header):
                continue
            if header[0] != 1:
                return None
        parts.append(part)
    while parts and parts[-1][0] != _SOS:
        parts.pop()
    return parts


def _renamed(jpeg, name):
    # The parts of a gray file, as bytes, with another name of its component.
    for marker, body, *coded in jpeg.parts:
        if marker == _SOS:
            body = bytes([1, name]) + body[2:]
        yield from (*_packed(marker, body), *coded)


def _separated(data):
    program = shutil.which(JPEGTRAN)
    if program is None:
        raise DataError(f"a color JPEG needs {JPEGTRAN} ({HOW_TO_INSTALL})")
    command = [program, "-grayscale", "-copy", "none"]
    try:
        # Files: pipes, filled piece by piece, make a third more work.
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            source.write(data)
            source.seek(0)
            done = subprocess.run(
                command,
                stdin=source,
                stdout=target,
                stderr=subprocess.DEVNULL,
                timeout=_PATIENCE,
            )
            target.seek(0)
            result = target.read()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{JPEGTRAN} cannot read the JPEG") from error
    # It returns 2 where libjpeg was warned of damage and went on.
    if done.returncode == 2:
        raise DataError("the JPEG is damaged")
    if done.returncode:
        raise DataError(f"{JPEGTRAN} failed, or cannot read the JPEG")
    return result


def _packed(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2), body
