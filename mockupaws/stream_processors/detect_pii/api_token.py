"""API_TOKEN: keys with an issuer's prefix, bearer and basic credentials, and what is assigned to a token's name."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import (
    CLOSING,
    OF_PAIR,
    SIGN,
    follows_mark,
    is_masked,
    value_after,
)
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_DISCORD = "[MNO][A-Za-z0-9_-]{23,25}\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27}"
_DISCORD_SCANNED = "[MNO][A-Za-z0-9_-]{23,25}\\.[A-Za-z0-9_-]{6}[^A-Za-z0-9_\\x00-][A-Za-z0-9_-]{27}"
"""With two dots the scan would look for a dot first, and stop at each one: 40 ns, or 6 µs a line of dots. What it finds
in vain the check refuses."""
_PREFIXES = (
    "gh[pousr]_[A-Za-z0-9]{20}",
    "github_pat_[A-Za-z0-9_]{20}",
    "gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_-]{16}",
    "xox[abeoprs]-[A-Za-z0-9-]{10}",
    "xapp-[0-9]-[A-Za-z0-9-]{10}",
    "(?:https://)?hooks\\.slack\\.com/(?:services|workflows)/[A-Za-z0-9]{6,14}/[A-Za-z0-9]{6,14}/[A-Za-z0-9]{16}",
    "[srp]k_(?:live|test|prod)_[A-Za-z0-9]{10}",
    "whsec_[A-Za-z0-9+/]{16}",
    "AIza[A-Za-z0-9_-]{35}",
    "GOCSPX-[A-Za-z0-9_-]{20}",
    "ya29\\.[A-Za-z0-9_-]{20}",
    "1//0[A-Za-z0-9_-]{30}",
    "sk-(?:ant|proj|svcacct|admin|or|lf|None)-[A-Za-z0-9_-]{16}",
    "sk-[A-Za-z0-9]{32}",
    "(?:gsk|xai|pplx|r8|nvapi|fw|tvly|pk-lf)[_-][A-Za-z0-9_-]{32}",
    "npm_[A-Za-z0-9]{30}",
    "hf_[A-Za-z0-9]{30}",
    "pypi-AgE[A-Za-z0-9_-]{20}",
    "SG\\.[A-Za-z0-9_-]{16,24}\\.[A-Za-z0-9_-]{20}",
    "do[opr]_v1_[a-f0-9]{40}",
    "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    "mk_[A-Za-z0-9]{4,16}_[A-Za-z0-9_-]{20}",
    "hv[sbr]\\.[A-Za-z0-9_-]{20}",
    "dckr_(?:pat|oat)_[A-Za-z0-9_-]{20}",
    "(?:dapi|key-|SK|AC)[0-9a-f]{32}",
    "PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    "lin_(?:api|oauth)_[A-Za-z0-9]{32}",
    "(?:secret|ntn)_[A-Za-z0-9]{40}",
    "EAA[A-Za-z0-9]{60}",
    "sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{20}",
    "EAAA[A-Za-z0-9_-]{56}",
    "(?:figd|fio-u|sntrys|sntryu|phc|phx|rubygems|CFPAT|NRAK|NRII|NRJS|AGE-SECRET-KEY-1|FLWSECK|FLWSECK_TEST|xkeysib|re|tfp|pul"
    "|glsa|glc|eyJrIjoi|ATATT3|ATCTT3|ATBB|BBDC|v1\\.0|pat-na1|pat-eu1|p8e|doo|sbp|ops|akcp|cmVmdGtu|AKCp|LTAI|shippo_live)"
    "[_-][A-Za-z0-9_-]{30}",
    "AGE-SECRET-KEY-1[A-Z0-9]{50}",
    "(?:ATATT3|AKCp|LTAI)[A-Za-z0-9_=-]{20}",
    "(?:bot)?[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    _DISCORD,
    "ASCVX[A-Za-z0-9]{20}",
    "[0-9a-f]{32}-us[0-9]{1,2}\\b",
)
_ISSUED = "|".join(_PREFIXES)
_ISSUED_SCANNED = "|".join(_DISCORD_SCANNED if prefix is _DISCORD else prefix for prefix in _PREFIXES)
_ISSUED_TOKEN = re.compile(
    rf"(?<![A-Za-z0-9_])(?:{_ISSUED})[A-Za-z0-9_-]{{0,512}}(?:\.[A-Za-z0-9_-]{{1,256}}){{0,4}}={{0,2}}".encode()
)
_ISSUED_LONGEST = 100
_FEWEST_CHARACTERS = 3
"""`ghp_xxxxxxxxxxxx` is none."""
_CREDENTIALS = re.compile(rb"[A-Za-z0-9._~+/-]{1,4096}={0,2}")
_CREDENTIALS_SHORTEST = 12
_SIGNED = (b"AWS4-HMAC", b"SCRAM-SHA")
_NAMES = (
    r"(?:api[_. -]?key|api[_-]?secret|session[_-]?key|app[_-]?key|subscription[_-]?key|functions[_-]?key|license[_-]?key"
    r"|access[_-]?key|(?:storage[_-]?)?account[_-]?key|auth[_-]?key|authorization[_-]?key|token|jeton)"
)
_PLACE_IN_LIST = re.compile(
    rb"(?:continuation|page|next|cursor|sync|resume|cancel\w{0,8}|activity|window|paging|scroll|batch|fencing|row|change|start|stop"
    rb"|idempotency|snapshot|lock|lease|shard|position|checkpoint)[_-]?token\W{0,6}\Z",
    re.IGNORECASE,
)
"""Names of tokens that tell a place, not a right."""
_KEY_NAME = re.compile(rb"(?:api[_. -]?key|api[_-]?secret)\W{0,6}\Z", re.IGNORECASE)
_LONGEST_NAME = 40
_NAME_AT_END = re.compile(rf"{_NAMES}\Z".encode(), re.IGNORECASE)
_RANDOM = re.compile(rb"(?=[^\x00]{0,4096}[0-9])(?=[^\x00]{0,4096}[A-Za-z])[A-Za-z0-9._~+/=%:-]{12,4096}\Z")
_UUID = re.compile(rb"(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z", re.IGNORECASE)
_NOT_RANDOM = re.compile(
    rb"(?:https?|s3|arn|file|kafka|tcp|org|com|io|java|sha256|sha1|sha512|md5)[:.].{0,4096}"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}.{0,4096}|[0-9.:]{1,4096}[a-zA-Z]{0,2}|[a-z]{1,64}(?:[-_.][a-z]{1,64}){0,32}[0-9]{0,3}|/(?![A-Za-z0-9+/]{20,128}={1,2}\Z).{0,4096}|.{0,4096}\.(?:[a-z]{2,5}|java:[0-9]{1,9})",
    re.DOTALL,
)
"""Addresses, times, numbers, words joined by signs, folders and files: no token, though long."""


def check_issued(data: bytes, end: int) -> Span | None:
    for token in _ISSUED_TOKEN.finditer(data, max(0, end - _ISSUED_LONGEST), end + 512):
        if token.end() >= end:
            return token.span() if token.start() < end and len(set(token[0][-12:])) > _FEWEST_CHARACTERS else None
    return None


def check_credentials(data: bytes, end: int) -> Span | None:
    """The hit ends with the first 12 characters after `Bearer `, `Basic ` or `Authorization: `."""
    start = end - _CREDENTIALS_SHORTEST
    credentials = _CREDENTIALS.match(data, start)
    if credentials is None or not _looks_issued(credentials[0]) or credentials[0].startswith(_SIGNED):
        return _base64_words(data, credentials)
    return credentials.span()


def _base64_words(data: bytes, credentials: re.Match[bytes] | None) -> Span | None:
    """Basic credentials may hold no digit."""
    if credentials is None or not data[: credentials.start()].endswith((b"Basic ", b"basic ")):
        return None
    text = credentials[0]
    return credentials.span() if text.endswith(b"=") or (len(text) % 4 == 0 and not text.islower()) else None


def check_assignment(data: bytes, end: int) -> Span | None:
    span = value_after(data, end)
    if span is None or follows_mark(data, end):
        return None
    value, before = data[span[0] : span[1]], max(0, end - _LONGEST_NAME)
    if not _looks_issued(value):
        return span if _UUID.match(value) and _KEY_NAME.search(data, before, end) else None
    return None if _PLACE_IN_LIST.search(data, before, end) else span


def is_api_token(name: str, value: str) -> bool:
    """Whether an attribute of this name holds a token."""
    encoded = value.encode("utf-8", "replace")
    return (
        _NAME_AT_END.search(name.encode("utf-8", "replace")) is not None
        and not _PLACE_IN_LIST.search(name.encode("utf-8", "replace"))
        and not is_masked(encoded)
        and _looks_issued(encoded)
    )


def _looks_issued(value: bytes) -> bool:
    return _RANDOM.match(value) is not None and not _UUID.match(value) and not _NOT_RANDOM.fullmatch(value)


API_TOKEN = Detector(
    pii_type="API_TOKEN",
    why="Gives the rights of an account or service. Told by the issuer's prefix, by `Bearer`/`Basic`, or by a name and "
    "at least 16 random characters; UUIDs and words are none.",
    expressions=(
        Expression("token.issued", rf"\b(?:{_ISSUED_SCANNED})", check_issued, 1.0, version=2),
        Expression(
            "token.credentials",
            rf"(?:\b(?:bearer|basic|apikey)[ ]{{1,2}}|authorization[\"'\\]{{0,3}}[ ]?[:=][ ]{{0,2}}[\"'\\]{{0,3}}(?:token |apikey |key )?)"
            rf"[A-Za-z0-9._~+/-]{{{_CREDENTIALS_SHORTEST}}}",
            check_credentials,
            0.95,
            caseless=True,
            version=2,
        ),
        Expression(
            "token.assignment",
            rf"{_NAMES}(?:{CLOSING}[ \t]{{0,2}}(?:{SIGN}|\|)|{OF_PAIR})",
            check_assignment,
            0.9,
            caseless=True,
            version=3,
        ),
        Expression(
            "token.query", r"[?&](?:key|sig|auth|apikey|token|code_secret)=", check_assignment, 0.85, caseless=True
        ),
        Expression(
            "token.element",
            r"<[a-z0-9_:.-]{0,30}(?:api-?key|token)(?:[ ][^<>\x00\n]{1,120})?>",
            check_assignment,
            0.9,
            caseless=True,
            version=2,
        ),
        Expression("token.option", r"--?(?:[a-z]{1,12}-){0,3}(?:token|api-?key|access-key)[ ]", check_assignment, 0.85),
    ),
    positives=(
        (
            "push with ghp_16C7e42F292c6912E7710c838347Ae178B4a ok",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ),
        ("Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA==", "2YotnFZFEjr1zCsicMWpAA=="),
        ('{"api_key":"a8f5f167f44f4964e6c998dee827110c"}', "a8f5f167f44f4964e6c998dee827110c"),
        (
            "slack xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
            "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
        ),
    ),
    negatives=(
        "token=550e8400-e29b-41d4-a716-446655440000",
        "bearer authentication is required",
        "next token: expected identifier",
        "api_key=[API_TOKEN]",
        "trace a8f5f167f44f4964e6c998dee827110c",
        "access_token=********************",
        "push with ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ),
)
