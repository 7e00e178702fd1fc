"""PRIVATE_KEY: from the PEM header to its footer, or as far as the armour goes where the footer is missing."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_HEADER_LONGEST = 70
_BODY = re.compile(
    rb"(?:[A-Za-z0-9+/=:,.() \t\r\n]|-(?!----)|\\{1,4}[nr]){0,20000}+-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
)
_BODY_WITHOUT_FOOTER = re.compile(rb"(?:[A-Za-z0-9+/=\r\n]|\\{1,4}[nr]){0,20000}")


def check_block(data: bytes, end: int) -> Span | None:
    start = data.rfind(b"-----BEGIN ", max(0, end - _HEADER_LONGEST), end)
    body = _BODY.match(data, end) or _BODY_WITHOUT_FOOTER.match(data, end)
    return None if body is None else (start, body.end())


PRIVATE_KEY = Detector(
    pii_type="PRIVATE_KEY",
    why="Whoever reads it can sign and decrypt in its owner's name. The PEM header proves it; a public key is none.",
    expressions=(
        Expression("private_key.pem", r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY( BLOCK)?-----", check_block, 1.0),
    ),
    positives=(
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----",
        ),
        (
            r'{"k":"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"}',
            r"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        ),
        ("cut -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE"),
    ),
    negatives=(
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "the PRIVATE KEY----- is missing",
    ),
)
