from __future__ import annotations

import pytest

from mockupaws.runtime.api_keys import RANDOM_BYTES, matches, mint, parse, secret_hmac


def test_a_minted_key_parses_and_matches() -> None:
    key = mint(bytes(range(RANDOM_BYTES)))
    parsed = parse(key.text)
    assert parsed == (key.prefix, key.secret)
    stored = secret_hmac("pepper", key.secret)
    assert matches("pepper", key.secret, stored)
    assert not matches("other", key.secret, stored)
    assert not matches("pepper", key.secret[:-1] + "_", stored)


@pytest.mark.parametrize("change", [str.upper, lambda t: t + "x", lambda t: t[:-1], lambda t: t + "\n", lambda _: ""])
def test_a_malformed_key_is_none(change: object) -> None:
    assert callable(change)
    assert parse(change(mint(bytes(range(RANDOM_BYTES))).text)) is None


def test_weak_material_is_refused() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        mint(b"short")
    with pytest.raises(ValueError, match="pepper"):
        secret_hmac("", "secret")


class _CountedPepper(str):
    """Counts how often something is hashed under it."""

    hashed = 0

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.hashed += 1
        return super().encode(encoding, errors)


def test_an_unknown_prefix_takes_the_same_work_as_a_wrong_secret() -> None:
    key = mint(bytes(range(RANDOM_BYTES)))
    work = []
    for stored in (secret_hmac("pepper", "another"), None, bytes(32)):
        pepper = _CountedPepper("pepper")
        assert not matches(pepper, key.secret, stored)
        work.append(pepper.hashed)
    assert work == [1, 1, 1]
