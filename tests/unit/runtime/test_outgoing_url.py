"""Nothing leads into our own network, whichever way it is written, and a call goes where the check looked."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.outgoing_url import (
    MAX_ANSWER_BYTES,
    OutgoingCallError,
    OutgoingCalls,
    OutgoingUrl,
    UrlRefusedError,
    check_address,
    check_plain_url,
    parse_networks,
    parse_url,
)

PUBLIC = "93.184.215.14"
LOOPBACK = parse_networks("127.0.0.0/8")


def answering(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", OutgoingUrl("https", "example.com", 443, "/")),
        ("HTTPS://Example.COM./a?b=c%20d", OutgoingUrl("https", "example.com", 443, "/a?b=c%20d")),
        ("https://example.com?x=1", OutgoingUrl("https", "example.com", 443, "/?x=1")),
        ("https://hooks.example.com:8443/T/B?", OutgoingUrl("https", "hooks.example.com", 8443, "/T/B?")),
        ("https://bücher.example/", OutgoingUrl("https", "xn--bcher-kva.example", 443, "/")),
        ("https://93.184.215.14/", OutgoingUrl("https", PUBLIC, 443, "/")),
        ("https://[2606:2800:21f::1]:444", None),
        ("https://[2606:2800:21f::1]:4443", OutgoingUrl("https", "2606:2800:21f::1", 4443, "/")),
        ("https://１２７.0.0.1/", OutgoingUrl("https", "127.0.0.1", 443, "/")),
    ],
)
def test_what_a_url_is_taken_for(text: str, url: OutgoingUrl | None) -> None:
    if url is None:
        with pytest.raises(UrlRefusedError):
            parse_url(text)
    else:
        assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "//example.com", "https:example.com", "https:///example.com", "ftp://example.com",
        "gopher://127.0.0.1:6379/_INFO", "file:///etc/passwd", "dict://example.com", "javascript:alert(1)",
        "data:text/plain,x", "https://user@example.com", "https://user:password@example.com",
        "https://example.com@127.0.0.1/", "https://127.0.0.1#@example.com/", "https://example.com#x",
        "https://example.com\\@127.0.0.1/", "https://example.com\\.evil", "https://exa mple.com",
        "https://example.com/a b",
        "https://example.com/\r\nHost: x", "https://example.com\t", "https://example.com\0.evil", " https://example.com",
        "https://example.com:99999", "https://example.com:22", "https://example.com:0", "https://example.com:",
        "https://example.com:80:80", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://127.1/", "https://0x7f.0.0.1/", "https://127.0.0.1.0x1/", "https://0/", "https://1.2.3.4.5/",
        "https://[::1", "https://[fe80::1%25eth0]/", "https://[::ffff:127.0.0.1%lo]/", "https://-a.example/",
        "https://a..example/", "https://" + "a" * 64 + ".example/", "https://example.com/" + "a" * 3000,
        "https://exa\u202emple.com", "https://*.example.com/", "https://exam\u00adple\u200b.com:443\u3000/",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_url_to_call(text: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        parse_url(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "::ffff:0:7f00:1", "::7f00:1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1",
    ],
)  # fmt: skip
async def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(UrlRefusedError, match="private, local or reserved"):
        check_address(ipaddress.ip_address(address), ())
    with pytest.raises(UrlRefusedError):  # also where a harmless name has it, alone or among others
        await OutgoingCalls(resolve=answering(PUBLIC, address)).pin("https://example.com/")


async def test_public_addresses_are_called_over_https_only() -> None:
    calls = OutgoingCalls(resolve=answering(PUBLIC, "2606:2800:21f::1"))
    assert (await calls.pin("https://example.com"))[1] == ipaddress.ip_address(PUBLIC)
    with pytest.raises(UrlRefusedError, match="https"):
        await calls.pin("http://example.com")


@pytest.mark.parametrize(
    "text",
    [
        "https://127.0.0.1:8443/x", "https://localhost:8443/x", "https://x.localhost/", "https://[::1]/", "https://10.1.2.3/",
        "https://169.254.169.254/", "http://hooks.example.com/", "http://8.8.8.8/", "ftp://8.8.8.8/",
    ],
)  # fmt: skip
def test_what_will_never_be_called_is_told_without_asking_for_names(text: str) -> None:
    with pytest.raises(UrlRefusedError):
        check_plain_url(text, ())


def test_what_may_be_called_passes_without_asking_for_names() -> None:
    check_plain_url("https://hooks.example.com/x", ())
    check_plain_url("https://8.8.8.8/x", ())
    ours = (ipaddress.ip_network("127.0.0.0/8"),)
    for text in ("http://127.0.0.1:8080/", "http://localhost:8080/", "http://hooks.example.com/"):
        check_plain_url(text, ours)
    with pytest.raises(UrlRefusedError):
        check_plain_url("http://10.0.0.1/", ours)


async def test_a_setting_allows_a_network() -> None:
    calls = OutgoingCalls(parse_networks("10.1.0.0/16, fd00::/8"), answering("10.1.2.3"))
    assert (await calls.pin("http://prices.internal"))[0].host == "prices.internal"
    with pytest.raises(UrlRefusedError):
        await OutgoingCalls(parse_networks("10.1.0.0/16"), answering("10.2.0.1")).pin("https://prices.internal")
    for text in ("10.1.0.0/8", "10.1.0.0/33", "intranet"):
        with pytest.raises(SettingsError, match="OUTGOING_ALLOWED_NETWORKS"):
            parse_networks(text)


async def test_names_without_an_address() -> None:
    with pytest.raises(OutgoingCallError, match="no address"):
        await OutgoingCalls(resolve=answering()).pin("https://example.com")
    with pytest.raises(OutgoingCallError, match="resolved"):
        await OutgoingCalls().pin("https://no-such-name.invalid")


@asynccontextmanager
async def serving(
    answer: bytes, hang: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives one answer to everything; its port, and the requests it got."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        try:
            await writer.drain()
            if hang:
                await reader.read()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


async def test_a_call_goes_to_the_address_that_was_checked() -> None:
    asked = 0

    async def rebinding(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"] if asked == 1 else ["169.254.169.254"]

    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (port, requests):
        calls = OutgoingCalls(LOOPBACK, rebinding)
        answer = await calls.call("POST", f"http://hooks.example.com:{port}/a?b=1", b"{}", {"Host": "evil", "X-A": "1"})
    assert (answer.status, answer.body, asked) == (200, b"ok", 1)
    head = requests[0].lower()
    assert head.startswith(b"post /a?b=1 http/1.1\r\n")
    assert f"host: hooks.example.com:{port}\r\n".encode() in head
    assert head.count(b"host:") == 1


async def test_a_redirect_is_not_followed() -> None:
    async with serving(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as (
        port,
        got,
    ):
        with pytest.raises(UrlRefusedError, match="redirect"):
            await OutgoingCalls(LOOPBACK, answering("127.0.0.1")).call("GET", f"http://hooks.example.com:{port}/")
    assert len(got) == 1


async def test_what_is_too_much_too_slow_or_not_there() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1)) as (port, _):
        with pytest.raises(OutgoingCallError, match="more than"):
            await OutgoingCalls(LOOPBACK, answering("127.0.0.1")).call("GET", f"http://a.example:{port}/")
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", hang=True) as (port, _):
        with pytest.raises(OutgoingCallError, match="too slow"):
            await OutgoingCalls(LOOPBACK, answering("127.0.0.1"), total_seconds=0.3).call(
                "GET", f"http://a.example:{port}/"
            )
    with pytest.raises(OutgoingCallError, match="reached"):
        await OutgoingCalls(LOOPBACK, answering("127.0.0.1")).call("GET", f"http://a.example:{port}/")


def certificate_for(name: str, folder: Path) -> Path:
    """A key and a certificate that signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


async def test_the_certificate_must_be_the_names_although_the_address_is_called(tmp_path: Path) -> None:
    path = certificate_for("hooks.example.com", tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    trusting = ssl.create_default_context(cafile=path)
    resolve = answering("127.0.0.1")
    async with serving(b"HTTP/1.1 204 No Content\r\n\r\n", tls=tls) as (port, requests):
        answer = await OutgoingCalls(LOOPBACK, resolve, tls=trusting).call("GET", f"https://hooks.example.com:{port}/")
        assert answer.status == 204
        for calls, host in (
            (OutgoingCalls(LOOPBACK, resolve, tls=trusting), "other.example.com"),
            (OutgoingCalls(LOOPBACK, resolve), "hooks.example.com"),
        ):
            with pytest.raises(OutgoingCallError):
                await calls.call("GET", f"https://{host}:{port}/")
    assert len(requests) == 1
