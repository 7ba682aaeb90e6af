"""A screenshot in 256 colours: a third of its bytes, and nobody sees which shades went."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, BY_PALETTE = 2, 3
COLOURS = 256
Colour = bytes


def in_few_colours(png: bytes) -> bytes:
    """The same picture with its 256 most frequent colours; `png` has eight bits each of RGB.

    A rarer colour becomes the nearest of these. Raises ValueError for another kind of PNG.
    """
    parts = list(_chunks(png))
    width, height, depth, kind = struct.unpack(">IIBB", parts[0][1][:10])
    if (depth, kind) != (8, RGB):
        raise ValueError(f"a PNG of kind {kind} with {depth} bits is not a screenshot of Chromium")
    packed = zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT"))
    rows = [
        [bytes(row[at : at + 3]) for at in range(0, len(row), 3)]
        for row in _rows(packed, width * 3)
    ]
    often = Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in often.most_common(COLOURS)]
    index = {colour: _nearest(colour, palette) for colour in often}
    lines = b"".join(b"\0" + bytes(map(index.__getitem__, row)) for row in rows)
    return SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, BY_PALETTE, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(palette)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _rows(packed: bytes, size: int) -> Iterator[bytearray]:
    """Each row without its filter: what is left of it, above it, or both was taken off."""
    above = bytearray(size)
    for start in range(0, len(packed), size + 1):
        kind, row = packed[start], bytearray(packed[start + 1 : start + 1 + size])
        for at in range(size if kind else 0):
            left, corner = (row[at - 3], above[at - 3]) if at >= 3 else (0, 0)
            row[at] = (row[at] + _guess(kind, left, above[at], corner)) & 255
        yield row
        above = row


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        both = left + up - corner
        return min((left, up, corner), key=lambda near: abs(both - near))
    return (0, left, up, (left + up) >> 1)[kind]


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    red, green, blue = colour
    return min(
        range(len(palette)),
        key=lambda at: (
            (palette[at][0] - red) ** 2
            + (palette[at][1] - green) ** 2
            + (palette[at][2] - blue) ** 2
        ),
    )
