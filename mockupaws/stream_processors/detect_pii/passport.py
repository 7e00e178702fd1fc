"""PASSPORT: the number that follows a word for passport; it proves nothing by itself."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span, last_match

_WORD = re.compile(rb"passports?|passaporto|passeport|reisepass|pasaporte|paspoort|passaporte", re.IGNORECASE)
_GAP = (
    rb"(?:[_ -]?(?:number|num(?:mer|ero|\xc3\xa9ro|ber)?|no|nr|n|id|document|doc|book|card)(?![0-9A-Za-z]))?[^0-9A-Za-z\x00;{}]{0,6}"
    rb"(?:(?:is|was|number|no|nr|num|n|de|numero|n\xc2\xb0|n\xc2\xba|\xc3\xa8|es|est|ist|lautet|value|holder|with|of|#|\xe2\x84\x96)"
    rb"[^0-9A-Za-z\x00;{}]{1,6}){0,3}"
)
_NUMBER = re.compile(
    rb"(?:%b)(?P<value>[A-Z]{0,3}[0-9]{5,9}[A-Z]?|[0-9]{2}[A-Z]{2}[0-9]{5}|[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}[0-9]?)"
    rb"(?![0-9A-Za-z_]|[-./:][0-9])" % _GAP,
    re.IGNORECASE,
)
_LEAST_DIGITS = 4
_LOOK_BACK = 64


def check_named(data: bytes, end: int) -> Span | None:
    """The hit ends with the first digit after the word."""
    word = last_match(_WORD, data, max(0, end - _LOOK_BACK), end)
    number = None if word is None else _NUMBER.match(data, word.end())
    if number is None or sum(48 <= character < 58 for character in number["value"]) < _LEAST_DIGITS:
        return None
    return number.span("value")


PASSPORT = Detector(
    pii_type="PASSPORT",
    why="Names a person to every border. Forms differ by country, so only a word for passport before 6 to 10 letters "
    "and digits makes one.",
    expressions=(
        Expression(
            "passport.named",
            r"(?:passport|passaport|passeport|reisepass|pasaporte|paspoort)[^0-9\x00;]{0,40}[0-9]",
            check_named,
            0.9,
            caseless=True,
            version=2,
        ),
    ),
    positives=(
        ("passport number YA1234567 expires 2030-01-01", "YA1234567"),
        ('{"passportNo":"C01X00T47"}', "C01X00T47"),
        ("passeport n° 12AB34567", "12AB34567"),
        ("Passport: 123456789.", "123456789"),
    ),
    negatives=(
        "passport.js 12.4.1 loaded",
        "passport renewed on 2026-11-23",
        "passport=[PASSPORT]",
        "number YA1234567",
        "passport scanned in 1234567 ms by node 7",
    ),
)
