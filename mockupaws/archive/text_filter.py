"""What a block of lines may hold: a filter that says "surely not" of a text, and never of one that stands there. Pure.

A filter is a set of bits. Each piece of the lines sets one: 5 letters or digits that follow each other, or 3 letters.
A text can stand in the block only if all of its own pieces have their bits set. Other characters are in no piece, so a
text without 3 letters or 5 letters and digits in a row can stand anywhere. Case makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_LARGEST_BITS = 1 << 17
_SMALLEST_BITS = 1 << 9
_FILL = 0.25
"""Share of the bits that may be set: so many of the blocks that lack a piece are looked at in vain."""
HOLDS_ANYTHING = b"\xff" * (_SMALLEST_BITS // 8)
"""The filter of lines that weren't read whole."""
_LETTERS = 26
_CODES = bytes(
    byte - 96 if 97 <= byte <= 122 else byte - 64 if 65 <= byte <= 90 else byte - 21 if 48 <= byte <= 57 else 0
    for byte in range(256)
)
"""0: in no piece; 1 to 26: a letter, small or large; 27 to 36: a digit."""
_STRETCH = 3 << 13
"""Bytes that are looked at together."""
_LOWERED_TO_ASCII = (("\u212a".encode(), b"k"), ("\u0130".encode(), b"i"))
"""The Kelvin sign and the dotted I: Postgres makes small letters of ASCII of them."""


def make_filter(text: bytes) -> bytes:
    """Of lines in UTF-8, joined by what is in no piece. Its length is a power of two, by how much they hold."""
    if not text.isascii():
        for other, letter in _LOWERED_TO_ASCII:
            text = text.replace(other, letter)
    bits = np.zeros(_LARGEST_BITS, np.bool_)
    for places in _places(text):
        bits[places] = True
    wanted = np.count_nonzero(bits) / _FILL
    while len(bits) > _SMALLEST_BITS and len(bits) // 2 >= wanted:
        half = len(bits) // 2
        bits = bits[:half] | bits[half:]
    return np.packbits(bits, bitorder="little").tobytes()


def places_of(text: str) -> list[int]:
    """Bits that each filter of lines with this text has set, modulo its number of bits; none: no filter can tell."""
    return sorted({int(place) for places in _places(text.encode()) for place in places})


def _places(text: bytes) -> Iterator[NDArray[np.intp]]:
    """Not each once. A stretch at a time: what numpy makes on the way then stays in the cache, and in memory that the
    process has; of whole blocks its pages alone, given back and asked for again, took most of the time."""
    seen = np.zeros(1 << 15, np.bool_)
    for start in range(0, len(text), _STRETCH):
        stretch = text[start : start + _STRETCH + 4].translate(_CODES) + bytes(4)  # so that there are five
        ones = np.frombuffer(stretch, np.uint8)
        wide = ones.astype(np.uint16)
        twos = wide[:-1] | wide[1:] << np.uint16(6)
        known = ones != 0
        known_twos = known[:-1] & known[1:]
        at = np.flatnonzero(known_twos[:-3] & known_twos[2:-1] & known[4:])
        fours = twos.take(at) | twos.take(at + 2).astype(np.uint32) << np.uint32(12)
        yield _hash(fours | ones.take(at + 4).astype(np.uint32) << np.uint32(24))
        letter = (ones - np.uint8(1)) < _LETTERS
        at = np.flatnonzero(letter[:-4] & letter[1:-3] & letter[2:-2])
        pairs = twos.take(at)
        seen[(pairs & 31 | pairs >> 1 & 31 << 5 | wide.take(at + 2) << 10).astype(np.intp)] = True
    yield _hash(np.flatnonzero(seen).astype(np.uint32) | np.uint32(1 << 30))


def _hash(pieces: NDArray[np.uint32]) -> NDArray[np.intp]:
    """To places below _LARGEST_BITS. What is stored depends on it: another one needs all blocks made anew."""
    pieces = (pieces ^ pieces >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    pieces = (pieces ^ pieces >> np.uint32(12)) * np.uint32(0x297A2D39)
    return (pieces >> np.uint32(15)).astype(np.intp)
