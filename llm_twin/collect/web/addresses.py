"""Which machines may be asked: names are resolved once, checked, and only what passed is connected to.

A page or a redirect can name any host, so without this a crawl could be led to the user's own router, to a
service on loopback or to a cloud's metadata address (server-side request forgery). Resolving again when
connecting would let a name change its answer in between (DNS rebinding); `Pinned` therefore keeps the first
answer for the length of a crawl.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

Resolve = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
# Which of the special ranges the standard library knows differs from version to version.
_SPECIAL = [
    ipaddress.ip_network(n)
    for n in (
        "192.0.0.0/24",  # RFC 6890: protocol assignments, a cloud's metadata among them
        "192.88.99.0/24",  # RFC 7526: the relays of 6to4, which are no more
        "3fff::/20",  # RFC 9637: documentation
        "168.63.129.16/32",  # Azure's platform services, at a public address in every virtual machine
    )
]
_MAX_TRIED = 3


class AddressRefused(Exception):
    """No address of this host may be connected to; the message says why."""


def system_resolve(host: str, port: int) -> list[str]:
    """Addresses of a host as the operating system gives them. Raises OSError where there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def why_refused(address: str) -> str | None:
    """Why an IP address is not one of the public internet; None where it is.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, NAT64) are judged as what they stand for; Teredo, local
    NAT64 and the retired forms lie in ranges that are not of the internet.
    """
    try:
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "not an IP address"
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    if ip.is_loopback:
        return "loopback address"
    if ip.is_link_local or (isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local):
        return "link-local or metadata address"
    if ip.is_multicast or ip.is_reserved or not ip.is_global or any(ip in n for n in _SPECIAL):
        return "private address"
    return None


class Pinned:
    """The addresses of every host that a crawl meets, looked up once; threads may share it."""

    def __init__(self, allow_private: bool, resolve: Resolve = system_resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._known: dict[tuple[str, int], tuple[str, ...]] = {}

    def of(self, host: str, port: int) -> tuple[str, ...]:
        """One to three addresses that may be connected to.

        Raises AddressRefused where there are only others, OSError where there are none.
        """
        known = self._known.get((host, port))
        if known is None:
            known = self._known.setdefault((host, port), self._look_up(host, port))
        return known

    def _look_up(self, host: str, port: int) -> tuple[str, ...]:
        try:
            found = list(self._resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise OSError(f"the name {host} has no address ({error})") from error
        if not found:
            raise OSError(f"the name {host} has no address")
        allowed = [a for a in found if self._allow_private or why_refused(a) is None]
        if not allowed:
            raise AddressRefused(f"{why_refused(found[0])} {', '.join(found)}")
        return tuple(allowed[:_MAX_TRIED])
