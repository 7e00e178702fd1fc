"""JWT: anchored at `eyJ` (base64 of `{"`), then three to five dotted parts."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_ANCHOR_LENGTH = 11
_PART = r"[A-Za-z0-9_-]"
_TOKEN = re.compile(
    rf"eyJ{_PART}{{8,4096}}\.(?:{_PART}{{4,16384}}\.(?:{_PART}{{1,16384}}(?:\.{_PART}{{1,4096}}){{0,2}})?"
    rf"|\.{_PART}{{1,4096}}\.{_PART}{{1,16384}}\.{_PART}{{1,4096}})".encode()
)


def check_token(data: bytes, end: int) -> Span | None:
    token = _TOKEN.match(data, end - _ANCHOR_LENGTH)
    return None if token is None else token.span()


JWT = Detector(
    pii_type="JWT",
    why="Gives its holder's rights until it expires, and names the holder. Each compact JWS or JWE starts with a JSON "
    "object in base64url and has three to five parts.",
    expressions=(Expression("jwt.header", r"\beyJ[A-Za-z0-9_-]{8}", check_token, 1.0),),
    positives=(
        (
            "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27u failed",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27u",
        ),
        (
            "GET /cb?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln&state=1",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        ),
        ('{"id_token":"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."}', "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
    ),
    negatives=(
        "payload eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        "token=[JWT]",
        "keyJhbGciOiJIUzI1NiJ9.eyJzdWIi.x",
    ),
)
