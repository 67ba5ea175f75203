"""Where a callback may lead: a host its client named at registration, at an address of the public Internet.

Nothing is connected to that was not judged here. A host is resolved once, every address it has must be public, and
the caller connects to the one address that comes out: a name that means another machine a second later (DNS
rebinding) changes nothing.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

URL_LIMIT = 500
RESOLVE_SECONDS = 5.0
_PORTS = {"https": 443, "http": 80}
# Written out, so that no other reader can find another host in it: no user, no fragment, no escape before the path.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Special-purpose addresses (RFC 6890 and its registries) that Python's tables do not all know: protocol assignments,
# relays, documentation, and those of IPv6 that mean one of IPv4, which may be private (Teredo, 6to4).
_SPECIAL = tuple(
    ipaddress.ip_network(each)
    for each in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class DestinationRefused(Exception):
    """The town does not connect there; ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HostUnknown(Exception):
    """The host has no address now."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A judged destination: connect to ``address`` and ``port``, and speak to ``host`` there."""

    scheme: str
    host: str
    port: int
    target: str
    address: str

    @property
    def url(self) -> str:
        """The URL with the address in the place of the host."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{address}:{self.port}{self.target}"

    @property
    def authority(self) -> str:
        """What stands in the ``Host`` header."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as this machine resolves them.

    Raises:
        OSError: it has none.
    """
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class Destinations:
    """Judges URLs.

    Args:
        hosts: client id → the hosts (``host`` or ``host:port``) named when the client was registered.
        loopback: ``host:port`` on this machine that a trial's receivers listen on, over http too; empty in production.
        resolve: finds the addresses of a host.
    """

    def __init__(
        self,
        hosts: Mapping[str, Collection[str]],
        loopback: Collection[str] = (),
        resolve: Resolve = system_resolve,
    ) -> None:
        self._hosts = {client: frozenset(named) for client, named in hosts.items()}
        self._loopback = frozenset(loopback)
        self._resolve = resolve

    async def judge(self, client_id: str, url: str) -> Destination:
        """Where a callback of this client leads now.

        Raises:
            DestinationRefused: the URL or one of the host's addresses breaks a rule.
            HostUnknown: the host has no address now.
        """
        parts = _URL.fullmatch(url)
        if parts is None or len(url) > URL_LIMIT:
            raise DestinationRefused("form")
        scheme, host = parts["scheme"], parts["host"]
        port = int(parts["port"] or _PORTS[scheme])
        trial = f"{host}:{port}" in self._loopback
        if scheme != "https" and not trial:
            raise DestinationRefused("not-https")
        named = {f"{host}:{port}", host} if port == _PORTS["https"] else {f"{host}:{port}"}
        if port > 65_535 or not named & self._hosts.get(client_id, frozenset()):
            raise DestinationRefused("host-not-registered")
        addresses = await self._addresses(host, port)
        if not all(is_loopback(each) if trial else is_public_unicast(each) for each in addresses):
            raise DestinationRefused("address-not-public")
        return Destination(scheme, host, port, parts["target"] or "/", addresses[0])

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise HostUnknown from None
        if not found:
            raise HostUnknown
        return found


def is_public_unicast(address: str) -> bool:
    """Whether an address is one machine's on the public Internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved or any(parsed in net for net in _SPECIAL):
        return False
    return isinstance(parsed, ipaddress.IPv4Address) or parsed in _GLOBAL_UNICAST


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
