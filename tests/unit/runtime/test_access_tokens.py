"""What is no token of this installation, or no longer one, is none; negative first."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mockupaws.runtime.access_tokens import (
    CLOCK_LEEWAY_SECONDS,
    MAX_TOKEN_CHARACTERS,
    SigningSecrets,
    issue_token,
    kid_of,
    read_token,
)
from mockupaws.runtime.revocations import Revocation, RevokedTokens

SECRET = "a secret of more than 32 bytes, as it should be"
OTHER = "another secret of more than 32 bytes, as it was"
SECRETS = SigningSecrets.of(SECRET)
NOW = 1_800_000_000
NOW_US = NOW * 1_000_000
CLAIMS: dict[str, Any] = {
    "iss": "mockupaws",
    "aud": "mockupaws",
    "sub": str(UUID(int=1)),
    "tenant_id": str(UUID(int=2)),
    "role": "owner",
    "scopes": ["read"],
    "jti": str(UUID(int=3)),
    "sid": str(UUID(int=4)),
    "iat": NOW,
    "exp": NOW + 900,
}


def issued(secrets: SigningSecrets = SECRETS, now: int = NOW) -> str:
    return issue_token(
        secrets,
        user_id=uuid4(),
        tenant_id=uuid4(),
        role="owner",
        scopes=["read"],
        token_id=uuid4(),
        session_id=uuid4(),
        now=now,
        life=900,
    )


def signed(claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, secret: str = SECRET) -> str:
    return jwt.encode({**CLAIMS, **(claims or {})}, secret, "HS256", headers={"kid": kid_of(SECRET), **(header or {})})


def raw(header: Any, payload: bytes, secret: str = SECRET) -> str:
    """Signed as HS256 whatever the header says."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (json.dumps(header).encode(), payload)]
    signature = jwt.get_algorithm_by_name("HS256").sign(b".".join(parts), secret.encode())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_the_corpus_starts_from_a_valid_token() -> None:
    claims = read_token(SECRETS, signed(), NOW_US)
    assert claims is not None
    assert (claims.user_id, claims.tenant_id, claims.scopes) == (UUID(int=1), UUID(int=2), ("read",))
    assert read_token(SECRETS, issued(), NOW_US) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": NOW + CLOCK_LEEWAY_SECONDS + 1},
        {"nbf": NOW + CLOCK_LEEWAY_SECONDS + 1},
        {"aud": "other"},
        {"aud": ["mockupaws", "other"]},
        {"iss": "other"},
        {"sub": "not-a-uuid"},
        {"tenant_id": None},
        {"scopes": "read"},
        {"admin": True},
    ],
    ids=str,
)
def test_claims_that_are_refused(change: dict[str, Any]) -> None:
    assert read_token(SECRETS, signed(change), NOW_US) is None


@pytest.mark.parametrize("missing", CLAIMS)
def test_every_claim_is_required(missing: str) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != missing}
    token = jwt.encode(claims, SECRET, "HS256", headers={"kid": kid_of(SECRET)})
    assert read_token(SECRETS, token, NOW_US) is None


@pytest.mark.parametrize("moment", ["iat", "nbf"])
def test_a_clock_a_little_ahead_is_taken(moment: str) -> None:
    assert read_token(SECRETS, signed({moment: NOW + CLOCK_LEEWAY_SECONDS}), NOW_US) is not None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "HS384", "HS512", "RS256", "", None])
def test_no_other_algorithm(algorithm: str | None) -> None:
    header = {"alg": algorithm, "typ": "JWT", "kid": kid_of(SECRET)}
    payload = json.dumps(CLAIMS).encode()
    token = raw(header, payload)
    assert read_token(SECRETS, token, NOW_US) is None
    assert read_token(SECRETS, token.rpartition(".")[0] + ".", NOW_US) is None


@pytest.mark.parametrize(
    "kid",
    [
        None, "", "../../../../dev/null", "/dev/null", "' OR '1'='1", "1; DROP TABLE users", "\0", "0" * 16, 7,
        ["a"], kid_of(OTHER), kid_of(SECRET).upper(),
    ],
    ids=repr,
)  # fmt: skip
def test_kids_that_name_no_secret(kid: Any) -> None:
    for secret in (SECRET, "\0" * 32):
        token = raw({"alg": "HS256", "typ": "JWT", "kid": kid}, json.dumps(CLAIMS).encode(), secret)
        assert read_token(SECRETS, token, NOW_US) is None


@pytest.mark.parametrize("extra", ["jku", "x5u", "jwk", "crit", "b64", "zip", "cty"])
def test_no_other_header_field(extra: str) -> None:
    header = {"alg": "HS256", "typ": "JWT", "kid": kid_of(SECRET), extra: ["exp"]}
    assert read_token(SECRETS, raw(header, json.dumps(CLAIMS).encode()), NOW_US) is None


@pytest.mark.parametrize(
    "make",
    [lambda: rsa.generate_private_key(65537, 2048), lambda: ec.generate_private_key(ec.SECP256R1()),
     ed25519.Ed25519PrivateKey.generate],
    ids=["rsa", "ec", "ed25519"],
)  # fmt: skip
def test_a_public_key_is_no_secret(make: Callable[[], Any]) -> None:
    public = make().public_key()
    forms = [
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
    ]
    for form in forms:
        text = public.public_bytes(*form).decode()
        token = raw({"alg": "HS256", "typ": "JWT", "kid": kid_of(SECRET)}, json.dumps(CLAIMS).encode(), text)
        assert read_token(SECRETS, token, NOW_US) is None


def test_a_claim_given_twice_is_refused() -> None:
    payload = json.dumps(CLAIMS).encode()
    twice = payload[:-1] + b', "tenant_id": "' + str(UUID(int=9)).encode() + b'"}'
    header = {"alg": "HS256", "typ": "JWT", "kid": kid_of(SECRET)}
    assert read_token(SECRETS, raw(header, payload), NOW_US) is not None
    assert read_token(SECRETS, raw(header, twice), NOW_US) is None


def test_a_swapped_claim_breaks_the_signature() -> None:
    header, _, signature = signed().split(".")
    payload = json.dumps({**CLAIMS, "tenant_id": str(UUID(int=9))}).encode()
    forged = f"{header}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.{signature}"
    assert read_token(SECRETS, forged, NOW_US) is None


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "a.b", "é.é.é", "e30.e30.e30", "[" * 2000 + ".a.b", "a.b.c.d.e",
     raw([], b"{}"), raw({"alg": "HS256", "typ": "JWT", "kid": kid_of(SECRET)}, b"[" * 2000)],
)  # fmt: skip
def test_what_is_no_token(token: str) -> None:
    assert read_token(SECRETS, token, NOW_US) is None


def test_a_huge_token_is_not_looked_at() -> None:
    assert read_token(SECRETS, signed({"scopes": ["x" * MAX_TOKEN_CHARACTERS]}), NOW_US) is None
    assert read_token(SECRETS, "a" * 1024 * 1024 + ".b.c", NOW_US) is None


def test_secrets_are_rotated_with_an_overlap() -> None:
    before = issued(SigningSecrets.of(OTHER))
    during = SigningSecrets.of(SECRET, OTHER)
    assert read_token(during, before, NOW_US) is not None
    assert read_token(SigningSecrets.of(SECRET), before, NOW_US) is None
    assert read_token(SigningSecrets.of(SECRET), issued(during), NOW_US) is not None
    assert read_token(SigningSecrets.of(""), issued(during), NOW_US) is None


@pytest.mark.parametrize("named", ["token_id", "session_id", "user_id"])
def test_revoked_by_token_session_or_user(named: str) -> None:
    revoked = RevokedTokens()
    claims = read_token(SECRETS, signed(), NOW_US)
    other = read_token(SECRETS, issued(), NOW_US)
    assert claims is not None
    assert other is not None
    revocation = Revocation(getattr(claims, named).bytes, NOW_US + 1)
    assert revoked.apply([revocation])
    assert not revoked.apply([revocation])
    assert revoked.refuses(claims)
    assert not revoked.refuses(other)
    revoked.forget(NOW_US)
    assert revoked.refuses(claims)
    revoked.forget(NOW_US + 1)
    assert not revoked.refuses(claims)
