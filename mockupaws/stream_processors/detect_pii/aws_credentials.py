"""AWS_ACCESS_KEY by its issued prefixes; AWS_SECRET_KEY only after a name that says so, since it has no prefix."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_ACCESS_KEY_LENGTH = 20
_SECRET_KEY_LENGTH = 40
_SECRET_KEY_CHARACTER = re.compile(rb"[A-Za-z0-9/+=]")
_SECRET_KEY_BESIDE = re.compile(rb"[^\x00]{1,80}?(?<![A-Za-z0-9/+=])([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])")


def check_access_key(data: bytes, end: int) -> Span | None:
    return end - _ACCESS_KEY_LENGTH, end


def check_secret_key(data: bytes, end: int) -> Span | None:
    start = end - _SECRET_KEY_LENGTH
    if (
        _SECRET_KEY_CHARACTER.match(data, end)
        or data[start - 1 : start] in (b"/", b"+")
        or not _is_random(data[start:end])
    ):
        return None
    return start, end


def check_pair(data: bytes, end: int) -> Span | None:
    """The hit is an access key: a secret key in its neighbourhood needs no name."""
    secret = _SECRET_KEY_BESIDE.match(data, end, end + 121)
    return None if secret is None or not _is_random(secret[1]) else secret.span(1)


def _is_random(secret: bytes) -> bool:
    """Of 40 random characters of base64, one in a thousand holds no digit; digests hold one case."""
    return not secret.isalpha() and secret.lower() != secret and secret.upper() != secret


AWS_ACCESS_KEY = Detector(
    pii_type="AWS_ACCESS_KEY",
    why="Names an AWS credential. Prefixes that the IAM user guide gives for credentials (those of users and roles are "
    "names, not keys), 20 characters.",
    expressions=(
        Expression(
            "aws.access_key",
            r"\b(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
            check_access_key,
            1.0,
            version=2,
        ),
    ),
    positives=(
        ("aws_access_key_id=AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ('{"AccessKeyId":"ASIAY34FZKBOKMUTVV7A"}', "ASIAY34FZKBOKMUTVV7A"),
        ("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261123", "AKIAIOSFODNN7EXAMPLE"),
    ),
    negatives=(
        "AKIAIOSFODNN7EXAMPLEX is too long",
        "akiaiosfodnn7example is lower case",
        "sha XAKIAIOSFODNN7EXAMPLE",
        "key [AWS_ACCESS_KEY] used",
        "principal AIDACKCEVSQ6C2EXAMPLE",
    ),
)

AWS_SECRET_KEY = Detector(
    pii_type="AWS_SECRET_KEY",
    why="Gives the rights of an AWS principal. 40 characters of base64 mean nothing alone: a name must precede them.",
    expressions=(
        Expression(
            "aws.secret_key",
            r"(?:secret[_. -]?(?:access[_. -]?)?key|aws[_. -]?secret|s3[_. -]?secret|secret[_. -]?access|aws[_. -]?sk)[_a-z0-9]{0,8}"
            r"[^A-Za-z0-9\x00]{1,16}(?:(?:is|was|value|set to)[^A-Za-z0-9\x00]{1,8}(?:string_?value[^A-Za-z0-9\x00]{1,8})?"
            r"|[a-z:]{1,12}=[\"'][^<>\x00\n]{1,40}>|[^()\x00]{0,100}\)[ ]?values[^\x00]{1,100}')?[A-Za-z0-9/+]{40}",
            check_secret_key,
            0.98,
            caseless=True,
            version=3,
        ),
        Expression("aws.secret_key_beside", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", check_pair, 0.95),
    ),
    positives=(
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        (
            '{"SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}',
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        (
            "export AWS_SECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
    ),
    negatives=(
        "blob wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "secret_key=da39a3ee5e6b4b0d3255bfef95601890afd80709 is a digest",
        "aws_secret_access_key=[AWS_SECRET_KEY]",
        "aws_secret_access_key=****************************************",
    ),
)
