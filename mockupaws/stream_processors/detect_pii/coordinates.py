"""GEO: latitude and longitude, after a name or as a pair."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import CLOSING, OF_PAIR, SIGN
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_LOOK_BACK = 24
_NUMBER_AT = re.compile(rb"-?[0-9]{1,3}\.[0-9]{3,15}(?![0-9A-Za-z.])")
_PAIR = re.compile(
    rb"(?<![0-9.\w-])([+-]?[0-9]{1,3}\.[0-9]{3,15})(?:[ ]?,[ ]?|[ ]|;)([+-]?[0-9]{1,3}\.[0-9]{3,15})(?![0-9A-Za-z.])"
)
_LATITUDE, _LONGITUDE = 90.0, 180.0


def check_named(data: bytes, end: int) -> Span | None:
    """The hit ends with the third decimal."""
    start = end
    floor = max(0, end - _LOOK_BACK)
    while start > floor and data[start - 1] in b"0123456789.-":
        start -= 1
    number = _NUMBER_AT.match(data, start)
    return None if number is None or abs(float(number[0])) > _LONGITUDE else number.span()


def check_pair(data: bytes, end: int) -> Span | None:
    """The hit ends with the third decimal of the first number."""
    start = end
    floor = max(0, end - _LOOK_BACK)
    while start > floor and data[start - 1] in b"0123456789.+-":
        start -= 1
    pair = _PAIR.match(data, start)
    if pair is None:
        return None
    first, second = abs(float(pair[1])), abs(float(pair[2]))
    return pair.span() if min(first, second) <= _LATITUDE and max(first, second) <= _LONGITUDE else None


GEO = Detector(
    pii_type="GEO",
    why="Tells where a person is, to some metres with three decimals. Floats are coordinates only after a name.",
    expressions=(
        Expression(
            "geo.named",
            r"(?:(?:\b|_|geo|gps|loc|location|pos|position|home|user|device|current|last|start|end|origin|dest|destination|pickup|dropoff"
            r"|center|min|max|map)(?:lat|lng|lon)|latitud[eo]?|longitud[eo]?|\blong)"
            rf"(?:{CLOSING}[ ]{{0,2}}(?:{SIGN}|\||>)|{OF_PAIR})[ ]{{0,2}}[\[\"'\\`\xe3\x80\x8c]{{0,4}}-?"
            r"[0-9]{1,3}\.[0-9]{3}",
            check_named,
            0.9,
            caseless=True,
            version=2,
        ),
        Expression(
            "geo.pair",
            r"(?:\bgps|\bgeo|coordinat|\bcoords?\b|location|position|posizione|lat[_-]?l(?:ng|on)|\bpoint\b|/@)[^0-9\x00\n;]{0,20}"
            r"[0-9]{1,3}\.[0-9]{3}",
            check_pair,
            0.85,
            caseless=True,
        ),
    ),
    positives=(
        ("lat=41.902782 acc=5", "41.902782"),
        ('{"longitude":-12.496366}', "-12.496366"),
        ("| homeLat | 41.902782 |", "41.902782"),
        ("gps 41.902782, 12.496366 fixed", "41.902782, 12.496366"),
        ("coordinates: [12.496366,41.902782]", "12.496366,41.902782"),
    ),
    negatives=(
        "latency=41.902782",
        "row 41.902782,12.496366",
        "position 12.5 of 40.2",
        "geo [GEO]",
    ),
)
