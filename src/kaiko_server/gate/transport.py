"""HTTPS only: plain HTTP is served to this machine itself, and to a declared proxy that took the request over HTTPS."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from kaiko_server.errors import ApiError, Code
from kaiko_server.gate.record import record_of
from kaiko_server.settings import SettingsError

_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
"""A year. Not for subdomains: they may belong to others than who runs this server."""
_FORWARDED: Final = b"x-forwarded-proto"
_FORWARDED_FOR: Final = b"x-forwarded-for"


def networks(trusted_proxies: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """Parse addresses and networks.

    Raises
    ------
    SettingsError
        One is neither.
    """
    try:
        return [ip_network(proxy, strict=False) for proxy in trusted_proxies]
    except ValueError as error:
        message = f"KAIKO_TRUSTED_PROXIES: {error}"
        raise SettingsError(message) from None


class Transport:
    """Pure ASGI; refuses with 403 ``https_required``.

    Parameters
    ----------
    app
        What stands behind it.
    trusted
        Networks of the proxies whose ``X-Forwarded-Proto`` and ``X-Forwarded-For`` are believed.
    """

    def __init__(self, app: ASGIApp, *, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._trusted = trusted
        self._place = lru_cache(maxsize=4096)(self._place_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            record = record_of(scope)
            record.address = self._client(scope)
            if self._is_https(scope):
                record.headers.append(_HSTS)
            elif not self._may_be_plain(scope):
                raise ApiError(Code.HTTPS_REQUIRED)
        await self._app(scope, receive, send)

    def _client(self, scope: Scope) -> str | None:
        """Give the nearest address that is no declared proxy; None when it is on this machine, without a network."""
        address = _peer(scope)
        if address is None or not self._place(address)[1]:
            return address
        told = [part.strip() for name, value in scope["headers"] if name == _FORWARDED_FOR for part in value.decode("latin-1").split(",")]
        for hop in reversed(told):
            if (known := _address(hop)) is None:  # what stands before it cannot be believed either
                break
            address = known
            if not self._place(known)[1]:
                break
        return address

    def _is_https(self, scope: Scope) -> bool:
        if scope["scheme"] == "https":
            return True
        said = _forwarded(scope)
        # A chain of proxies appends; whoever spoke first may be the client itself, so all of them must say it.
        return bool(said) and all(proto == b"https" for proto in said) and self._place(_peer(scope))[1]

    def _may_be_plain(self, scope: Scope) -> bool:
        loopback, trusted = self._place(_peer(scope))
        return loopback and not (trusted and _forwarded(scope))

    def _place_of(self, peer: str | None) -> tuple[bool, bool]:
        """Whether *peer* is this machine, and whether it is a declared proxy."""
        if peer is None:  # a socket in the file system: somebody on this machine
            return True, False
        known = _address(peer)
        if known is None:
            return False, False
        address = ip_address(known)
        return address.is_loopback, any(address in network for network in self._trusted if network.version == address.version)


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _forwarded(scope: Scope) -> list[bytes]:
    return [part.strip().lower() for name, value in scope["headers"] if name == _FORWARDED for part in value.split(b",")]


def _address(text: str) -> str | None:
    """Give an address in its one spelling; None for what is none."""
    try:
        return str(_unmapped(ip_address(text)))
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
