r"""Lines as they read once their escapes are undone: `%40`, `\u0040`, `\"`, `\n`, `&#64;`, `&quot;`.

Spaces and hyphens that don't break (`+33 6 12…` as word processors write it) are read as plain ones, too.

A value may be hidden by an escape (`bob%40example.org`), or what stands around it (`%3Dbob`, `\nbob`, `https:\/\/`), so
lines with escapes are scanned a second time, decoded. Only ASCII is decoded; places map back to the original bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

_ESCAPE = re.compile(
    rb"%(?:25){0,3}(?P<percent>[2-7][0-9A-Fa-f])"
    rb"|\\{1,4}(?:u00(?P<unicode>[2-7][0-9A-Fa-f])|x(?P<hexadecimal>[2-7][0-9A-Fa-f])|(?P<control>[nrt])|(?P<mark>[\"'/]))"
    rb"|&(?:\#(?P<decimal>[0-9]{2,3})|\#[xX]0{0,2}(?P<entity>[2-7][0-9A-Fa-f])|(?P<name>amp|lt|gt|quot|apos|commat));"
    rb"|(?<=[0-9])(?P<plus>\+)(?=[0-9])"
    rb"|(?P<space>\xc2\xa0|\xe2\x80\xaf)|(?P<hyphen>\xe2\x80\x91)"
)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'", b"commat": b"@"}
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_ASCII_SIGNS = (b"%", b"\\")
_SIGNS = (*_ASCII_SIGNS, b"\xc2\xa0", b"\xe2\x80\xaf", b"\xe2\x80\x91")
"""Looking for one of several bytes costs thirty times what one byte does."""
ENTITY = r"&(?:#[0-9x]|amp;|lt;|gt;|quot;|apos;|commat;)"
"""For the scan: `&` alone stands in most URLs, so it is the scan that finds these."""


class Decoded:
    """The lines that hold escapes, decoded and joined by NUL."""

    def __init__(self, data: bytes, entities: Sequence[int]) -> None:
        """`data` is lines joined by NUL; `entities`: where ENTITY was found."""
        pieces: list[bytes] = []
        self._starts: list[int] = []
        """Where each piece starts in the decoded text."""
        self._origins: list[tuple[int, int]] = []
        """Where it stands in `data`: start and end."""
        length = 0
        for start, end in _lines_with_signs(data, entities):
            position = start
            for escape in _ESCAPE.finditer(data, start, end):
                character = _character(escape)
                if character is None:
                    continue
                for piece, origin in ((data[position : escape.start()], position), (character, escape.start())):
                    if piece:
                        self._starts.append(length)
                        self._origins.append((origin, origin + len(piece)))
                        pieces.append(piece)
                        length += len(piece)
                position = escape.end()
                self._origins[-1] = escape.span()
            if position == start:
                continue
            self._starts.append(length)
            self._origins.append((position, end))
            pieces += (data[position:end], b"\0")
            length += end - position + 1
        self.text = b"".join(pieces)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The bytes of the original that the decoded bytes from `start` to `end` stand for."""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        return (
            self._within(first, start - self._starts[first], self._origins[first][0]),
            self._within(last, end - self._starts[last], self._origins[last][1]),
        )

    def _within(self, piece: int, offset: int, edge: int) -> int:
        """A place inside a piece that was copied; the edge of one that stands for an escape."""
        start, end = self._origins[piece]
        following = self._starts[piece + 1] if piece + 1 < len(self._starts) else len(self.text)
        copied = following - self._starts[piece] >= end - start
        return start + offset if copied else edge


def _lines_with_signs(data: bytes, entities: Sequence[int]) -> list[tuple[int, int]]:
    """Start and end of each line that may hold an escape, in order."""
    found: set[tuple[int, int]] = set()
    for sign in _ASCII_SIGNS if data.isascii() else _SIGNS:
        position = data.find(sign)
        while position >= 0:
            line = _line_around(data, position)
            found.add(line)
            position = data.find(sign, line[1])
    end = 0
    for position in entities:
        if position > end:
            line = _line_around(data, position - 1)
            found.add(line)
            end = line[1]
    return sorted(found)


def _line_around(data: bytes, position: int) -> tuple[int, int]:
    end = data.find(b"\0", position)
    return data.rfind(b"\0", 0, position) + 1, len(data) if end < 0 else end


def _character(escape: re.Match[bytes]) -> bytes | None:
    kind, value = escape.lastgroup, escape[escape.lastgroup or 0]
    match kind:
        case "control":
            return _CONTROLS[value]
        case "mark":
            return value
        case "name":
            return _NAMED[value]
        case "plus" | "space":
            return b" "
        case "hyphen":
            return b"-"
        case "decimal":
            return bytes((int(value),)) if 32 <= int(value) < 127 else None
    return bytes((int(value, 16),)) if int(value, 16) < 127 else None
