from __future__ import annotations

import pytest

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.http_checks import AllowedHosts, TrustedProxies, is_request_id, parse_origins


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (b"localhost", True),
        (b"LOCALHOST:8000", True),
        (b"localhost.", True),
        (b"127.0.0.1:8000", True),
        (b"127.8.8.8", True),
        (b"[::1]:8000", True),
        (b"[::ffff:127.0.0.1]", True),
        (b"ingest.example.com", True),
        (b"Ingest.Example.com:443", True),
        (b"10.1.2.3:8000", True),
        (b"192.0.2.7", True),  # where it listens
        (b"evil.example", False),
        (b"ingest.example.com.evil.example", False),
        (b"xingest.example.com", False),
        (b"11.1.2.3", False),
        (b"2130706433", False),  # 127.0.0.1, as a number
        (b"0x7f.0.0.1", False),
        (b"", None),
        (b"a/b?x=", None),
        (b"localhost@evil.example", None),
        (b"localhost:80:80", None),
        (b"localhost:", None),
        (b"localhost\0", None),
        (b"localhost evil", None),
        ("lοcalhost".encode(), None),  # a Greek o
        (b"[localhost]", None),
        (b"::1", None),
        (b"a" * 300, None),
        (b"-a", None),
    ],
)
def test_hosts(host: bytes, allowed: bool | None) -> None:
    hosts = AllowedHosts("ingest.example.com, 10.0.0.0/8", "192.0.2.7")
    assert hosts.allows(host) is allowed


def test_an_asterisk_allows_any_host_that_can_be_one() -> None:
    hosts = AllowedHosts("*", "0.0.0.0")
    assert [hosts.allows(host) for host in (b"evil.example", b"8.8.8.8", b"a b", b"")] == [True, True, None, None]
    assert AllowedHosts("", "0.0.0.0").allows(b"0.0.0.0") is False


@pytest.mark.parametrize("setting", ["https://a.example", "*.example.com", "a b", "10.0.0.1/8", "-a"])
def test_host_settings_that_cannot_be(setting: str) -> None:
    with pytest.raises(SettingsError, match="HTTP_ALLOWED_HOSTS"):
        AllowedHosts(setting, "127.0.0.1")


PROXY = "10.0.0.9"


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([b"198.51.100.1"], "198.51.100.1"),
        ([b"6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # the left one is the client's own word
        ([b"6.6.6.6", b"198.51.100.1"], "198.51.100.1"),
        ([b"6.6.6.6, 198.51.100.1, 10.0.0.8"], "198.51.100.1"),
        ([b"198.51.100.1, 127.0.0.1"], "127.0.0.1"),  # not listed: whoever it is, it isn't a proxy
        ([b"2001:db8::1"], "2001:db8::1"),
        ([b"::ffff:198.51.100.1"], "198.51.100.1"),
        ([b"198.51.100.1, garbage"], PROXY),
        ([b"198.51.100.1:80"], PROXY),
        ([b"198.51.100.1, garbage, 10.0.0.8"], "10.0.0.8"),
        ([b""], PROXY),
        ([], PROXY),
        ([b"unknown"], PROXY),
        ([b"10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        (["١٩٨.51.100.1".encode()], PROXY),
    ],
)
def test_the_client_behind_trusted_proxies(headers: list[bytes], client: str) -> None:
    assert TrustedProxies.of("10.0.0.0/24").client_of(PROXY, headers) == client


def test_who_is_a_trusted_proxy() -> None:
    proxies = TrustedProxies.of("10.0.0.0/24, 2001:db8::/32, 192.0.2.1")
    trusted = ["10.0.0.1", "2001:db8::5", "192.0.2.1", "::ffff:10.0.0.1", "127.0.0.1", "10.0.1.1", "unix:", ""]
    assert [proxies.trusts(peer) for peer in trusted] == [True] * 4 + [False] * 4
    with pytest.raises(SettingsError, match="HTTP_TRUSTED_PROXIES"):
        TrustedProxies.of("proxy.example.com")


def test_origins_are_named_one_by_one() -> None:
    assert parse_origins("https://a.example, http://localhost:3000") == {b"https://a.example", b"http://localhost:3000"}
    for wrong in ("*", "null", "a.example", "https://a.example/", "https://*.example", "https://A.example"):
        with pytest.raises(SettingsError, match="HTTP_ALLOWED_ORIGINS"):
            parse_origins(wrong)


def test_an_id_of_a_client_holds_no_text() -> None:
    taken = [b"0190163d-8694-739b-aea5-966c26f8ad91", b"4bf92f3577b34da6a3ce929d0e0e4736"]
    refused = [b"", b"1", b"jo@example.com", b"4bf92f3577b34da6a3ce929d0e0e4736\n", b"4111111111111111", b"x" * 36]
    assert all(is_request_id(value) for value in taken)
    assert not any(is_request_id(value) for value in refused)
