"""What a block of lines may hold: a filter that says "surely not" of a text, and never of one that stands there. Pure.

A filter is a set of bits. Each piece of the lines sets one: 5 letters or digits that follow each other, or 3 letters.
A text can stand in the block only if all of its own pieces have their bits set. Other characters are in no piece, so a
text without 3 letters or 5 letters and digits in a row can stand anywhere. Case makes no difference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LARGEST_BITS = 1 << 17
_SMALLEST_BITS = 1 << 9
_FILL = 0.25
"""Share of the bits that may be set: so many of the blocks that lack a piece are looked at in vain."""
HOLDS_ANYTHING = b"\xff" * (_SMALLEST_BITS // 8)
"""The filter of lines that weren't read whole."""
_LETTERS = bytes(
    byte - 96 if 97 <= byte <= 122 else byte - 64 if 65 <= byte <= 90 else 0  # small, large
    for byte in range(256)
)
_CODES = bytes(byte - 21 if 48 <= byte <= 57 else _LETTERS[byte] for byte in range(256))
"""0: in no piece; 1 to 26: a letter; 27 to 36: a digit."""
_LOWERED_TO_ASCII = (("\u212a".encode(), b"k"), ("\u0130".encode(), b"i"))
"""The Kelvin sign and the dotted I: Postgres makes small letters of ASCII of them."""


def make_filter(text: bytes) -> bytes:
    """Of lines in UTF-8, joined by line feeds. Its length is a power of two, by how much they hold."""
    if not text.isascii():
        for other, letter in _LOWERED_TO_ASCII:
            text = text.replace(other, letter)
    bits = np.zeros(_LARGEST_BITS, np.bool_)
    bits[_places(text)] = True
    wanted = np.count_nonzero(bits) / _FILL
    while len(bits) > _SMALLEST_BITS and len(bits) // 2 >= wanted:
        half = len(bits) // 2
        bits = bits[:half] | bits[half:]
    return np.packbits(bits, bitorder="little").tobytes()


def places_of(text: str) -> list[int]:
    """Bits that each filter of lines with this text has set, modulo its number of bits; none: no filter can tell."""
    return [int(place) for place in np.unique(_places(text.encode()))]


def _places(text: bytes) -> NDArray[np.uint32]:
    if len(text) < 3:
        return np.zeros(0, np.uint32)
    text += b"\n\n"  # so that there are five
    codes = np.frombuffer(text.translate(_CODES), np.uint8)
    wide = codes.astype(np.uint32)
    twos = wide[:-1] | wide[1:] << 6
    fours = twos[:-2] | twos[2:] << 12
    fives = fours[:-1] | wide[4:] << 24
    known = codes != 0
    known_twos = known[:-1] & known[1:]
    known_fives = known_twos[:-3] & known_twos[2:-1] & known[4:]
    letters = np.frombuffer(text.translate(_LETTERS), np.uint8).astype(np.uint16)
    threes = letters[:-2] | letters[1:-1] << 5 | letters[2:] << 10
    seen = np.zeros(1 << 15, np.bool_)
    seen[threes.astype(np.intp)] = True
    found = np.flatnonzero(seen).astype(np.uint32)
    found = found[(found & 31 != 0) & (found >> 5 & 31 != 0) & (found >> 10 != 0)]
    return _hash(np.concatenate((fives[known_fives], found | np.uint32(1 << 30))))


def _hash(pieces: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """To places below _LARGEST_BITS. What is stored depends on it: another one needs all blocks made anew."""
    pieces = (pieces ^ pieces >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    pieces = (pieces ^ pieces >> np.uint32(12)) * np.uint32(0x297A2D39)
    return pieces >> np.uint32(15)
