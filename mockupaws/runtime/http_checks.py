"""What of a request's head is believed: its host, its sender's address, its origin, its id. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from mockupaws.runtime.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK_NAMES = ("localhost", "127.0.0.0/8", "::1/128")
_WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound
_HOST = re.compile(
    rb"(?:([A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?)|\[([0-9A-Fa-f:.]{2,45})\])(?::[0-9]{1,5})?"
)
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?")
_ORIGIN = re.compile(r"https?://[a-z0-9._-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?")
_REQUEST_ID = re.compile(rb"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class AllowedHosts:
    """By which names and addresses a service may be called: loopback, where it listens, and what the setting adds."""

    def __init__(self, setting: str, listens_on: str) -> None:
        """Raises SettingsError where a part of `setting` is neither a name, nor a network, nor `*`."""
        parts = _parts(setting)
        self._any = "*" in parts
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for part in (*LOOPBACK_NAMES, *parts, *(() if listens_on in _WILDCARDS else (listens_on,))):
            if (network := _network(part)) is not None:
                self._networks.append(network)
            elif part == "*" or _NAME.fullmatch(part.lower()):
                self._names.add(part.lower())
            else:
                raise SettingsError(f"MOCKUPAWS_HTTP_ALLOWED_HOSTS: {part!r} is no host name, network or *")
        self.allows = lru_cache(1024)(self._allows)

    def _allows(self, header: bytes) -> bool | None:
        """Whether the value of a Host header is one of them; None where it is no host at all."""
        found = _HOST.fullmatch(header)
        if found is None:
            return None
        text = (found[1] or found[2]).decode().lower().removesuffix(".")
        address = _address(text)
        if address is None:
            return None if found[2] else self._any or text in self._names
        return self._any or any(address in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    networks: tuple[Network, ...]

    @classmethod
    def of(cls, setting: str) -> Self:
        """Raises SettingsError where a part of it is no network."""
        networks = []
        for part in _parts(setting):
            network = _network(part)
            if network is None:
                raise SettingsError(f"MOCKUPAWS_HTTP_TRUSTED_PROXIES: {part!r} is no address or network")
            networks.append(network)
        return cls(tuple(networks))

    def trusts(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self.networks)

    def client_of(self, peer: str, forwarded_for: Sequence[bytes]) -> str:
        """Who is behind `peer`, a trusted proxy: the last address of its header that isn't a trusted proxy's, too.

        What stands further left was written by the client itself, and says nothing.
        """
        client = peer
        for piece in reversed(b",".join(forwarded_for).split(b",")):
            address = _address(piece.strip().decode("latin-1"))
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client


def parse_origins(setting: str) -> frozenset[bytes]:
    """Origins whose pages may read answers. Raises SettingsError where a part is none; `*` and `null` are none."""
    origins = _parts(setting)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"MOCKUPAWS_HTTP_ALLOWED_ORIGINS: {origin!r} is no origin like https://dashboard.example.com"
            )
    return frozenset(origin.encode() for origin in origins)


def is_request_id(value: bytes) -> bool:
    """Whether a client's X-Request-Id is taken over: a UUID or trace id in lower case.

    It goes into logs and the audit log, so nothing passes that could hold a text.
    """
    return _REQUEST_ID.fullmatch(value) is not None


def _parts(setting: str) -> list[str]:
    return [part.strip() for part in setting.split(",") if part.strip()]


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


@lru_cache(4096)
def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
