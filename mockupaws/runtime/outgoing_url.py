"""Calls to addresses a user chose (webhooks, price sources): never into our own network.

A URL is taken apart strictly and put together anew, so that no other parser reads it differently. Its name is resolved
once; every address it has must be public (or in a network that a setting allows), and the call goes to the address that
was checked, whatever the name says a moment later. Redirects aren't followed, proxies of the environment aren't used,
and time and size have limits.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import certifi
import httpx

from mockupaws.runtime.errors import PermanentError, RetriableError, SettingsError

MAX_URL_CHARACTERS = 2048
MAX_ANSWER_BYTES = 1024 * 1024
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
_DEFAULT_PORT = {"https": 443, "http": 80}
# No user part, no fragment, no backslash, space or control character: each is read differently somewhere.
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[^\[\]/?#@:\\\x00-\x20\x7f]+)(?::([0-9]{1,5}))?([/?][!$-;=?-Z_a-z~%]*)?", re.I
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24",
    )
)  # fmt: skip
"""NAT64, 6to4 and Teredo, whose addresses lead to IPv4 ones; and special ones that `ipaddress` calls global."""
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


class UrlRefusedError(PermanentError):
    """The URL isn't called; the message says why, and doesn't quote it: it may hold a secret."""


class OutgoingCallError(RetriableError):
    """The other side can't be reached, was too slow or answered too much."""


@dataclass(frozen=True, slots=True)
class OutgoingUrl:
    scheme: str
    host: str
    """A name in ASCII, or an address without brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class OutgoingAnswer:
    status: int
    body: bytes


def parse_networks(text: str) -> tuple[Network, ...]:
    """`outgoing_allowed_networks`: CIDRs, separated by commas. Raises SettingsError."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"MOCKUPAWS_OUTGOING_ALLOWED_NETWORKS: {error}") from None


def parse_url(text: str) -> OutgoingUrl:
    """Raises UrlRefusedError for what isn't plainly an http(s) URL. Says nothing yet of where it leads."""
    found = _URL.fullmatch(text) if len(text) <= MAX_URL_CHARACTERS else None
    if found is None:
        raise UrlRefusedError("this is no https URL of a host, a port, a path and a query alone")
    scheme = found[1].lower()
    port = int(found[3]) if found[3] else _DEFAULT_PORT[scheme]
    if port not in (80, 443) and not 1024 <= port <= 65535:
        raise UrlRefusedError("the port must be 80, 443 or from 1024 on")
    target = found[4] or "/"
    return OutgoingUrl(scheme, _host(found[2]), port, target if target.startswith("/") else f"/{target}")


def check_address(address: Address, allowed: Sequence[Network]) -> None:
    """Raises UrlRefusedError where the address isn't public and no setting allows it."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    if any(address in network for network in allowed):
        return
    special = any(address in network for network in _NOT_PUBLIC)
    elsewhere = address.version == 6 and address not in _GLOBAL_UNICAST
    if special or elsewhere or not address.is_global or address.is_multicast or address.is_reserved:
        raise UrlRefusedError("the URL leads into a private, local or reserved network")


def check_plain_url(text: str, allowed: Sequence[Network]) -> None:
    """What can be told without asking for the host's name, for whoever gives the URL. Raises UrlRefusedError."""
    url = parse_url(text)
    host = "127.0.0.1" if url.host == "localhost" or url.host.endswith(".localhost") else url.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if url.scheme == "http" and not allowed:
            raise UrlRefusedError("the URL must begin with https://") from None
        return
    _check_scheme(url, address, allowed)


def _check_scheme(url: OutgoingUrl, address: Address, allowed: Sequence[Network]) -> None:
    check_address(address, allowed)
    if url.scheme == "http" and not any(address in network for network in allowed):
        raise UrlRefusedError("the URL must begin with https://")


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


class OutgoingCalls:
    def __init__(
        self,
        allowed: Sequence[Network] = (),
        resolve: Resolve = resolve_by_system,
        total_seconds: float = TOTAL_SECONDS,
        tls: ssl.SSLContext | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """`tls`: whom to trust; None: the public authorities."""
        self._allowed = allowed
        self._resolve = resolve
        self._total_seconds = total_seconds
        self._max_answer_bytes = max_answer_bytes
        self._tls = tls or ssl.create_default_context(cafile=certifi.where())

    async def pin(self, text: str) -> tuple[OutgoingUrl, Address]:
        """The URL and the one address it is called at. Raises UrlRefusedError, OutgoingCallError."""
        url = parse_url(text)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await self._resolve(url.host, url.port)
        except (OSError, TimeoutError) as error:
            raise OutgoingCallError("the host's name can't be resolved") from error
        addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
        if not addresses:
            raise OutgoingCallError("the host's name has no address")
        for address in addresses:  # one private address among public ones is a way in, too
            check_address(address, self._allowed)
        _check_scheme(url, addresses[0], self._allowed)
        return url, addresses[0]

    async def call(
        self, method: str, text: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> OutgoingAnswer:
        """One request. Raises UrlRefusedError (also for a redirect), OutgoingCallError."""
        try:
            async with asyncio.timeout(self._total_seconds):
                url, address = await self.pin(text)
                return await self._send(method, url, address, content, dict(headers or {}))
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise OutgoingCallError(
                f"the other side can't be reached or was too slow ({type(error).__name__})"
            ) from error

    async def _send(
        self, method: str, url: OutgoingUrl, address: Address, content: bytes | None, headers: dict[str, str]
    ) -> OutgoingAnswer:
        literal = f"[{address}]" if address.version == 6 else str(address)
        timeout = httpx.Timeout(self._total_seconds, connect=CONNECT_SECONDS)
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=timeout) as client,
            client.stream(
                method,
                f"{url.scheme}://{literal}:{url.port}{url.target}",
                content=content,
                headers={**headers, "Host": url.authority},
                extensions={"sni_hostname": url.host},  # the certificate must be the name's, not the address'
            ) as answer,
        ):
            if answer.is_redirect:
                raise UrlRefusedError("the other side answers with a redirect: give the address it leads to")
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > self._max_answer_bytes:
                    raise OutgoingCallError(f"the answer has more than {self._max_answer_bytes} bytes")
            return OutgoingAnswer(answer.status_code, bytes(body))


def _host(text: str) -> str:
    """Raises UrlRefusedError."""
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise UrlRefusedError("the host is no IPv6 address") from None
    try:
        name = text.encode("idna").decode().lower().rstrip(".")  # full-width and other forms become plain ones
    except UnicodeError:
        raise UrlRefusedError("the host is no domain name") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefusedError("the host is no domain name")
    # 0177.0.0.1, 2130706433 and 0x7f.1 are addresses to some resolvers: only the plain form is one here.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise UrlRefusedError("the host is a number, and no plain IPv4 address") from None
    return name
