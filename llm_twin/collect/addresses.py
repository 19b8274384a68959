"""Which machines may be asked: names are resolved once, checked, and the checked address is the one connected
to.

A page or a redirect can name any host, so without this a crawl could be led to the user's own router, to a
service on loopback or to a cloud's metadata address (server-side request forgery). Resolving again when
connecting would let a name change its answer in between (DNS rebinding); `PinnedTransport` therefore keeps
the first answer.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

import httpx

Resolve = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_MAX_TRIED = 3


class AddressRefused(Exception):
    """No address of this host may be connected to; the message says why."""


def system_resolve(host: str, port: int) -> list[str]:
    """Addresses of a host as the operating system gives them. Raises OSError where there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def why_refused(address: str) -> str | None:
    """Why an IP address is not one of the public internet; None where it is.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, NAT64) are judged as what they stand for.
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
    if ip.is_link_local:
        return "link-local or metadata address"
    if ip.is_multicast or not ip.is_global:
        return "private address"
    return None


class PinnedTransport(httpx.BaseTransport):
    """Sends each request to an address of its host that was resolved once and checked.

    The host's name stays in the Host header and in the TLS handshake, so certificates are checked as ever.
    Each host has connections of its own. Proxies of the environment are not used: they would resolve names
    again.
    """

    def __init__(self, allow_private: bool, resolve: Resolve = system_resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._pinned: dict[tuple[str, int], list[str]] = {}
        self._inner: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Connect to the first pinned address that answers. Raises AddressRefused or httpx.TransportError."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = self._addresses(host, port)
        if host not in self._inner:
            self._inner[host] = httpx.HTTPTransport(trust_env=False, retries=0)
        for number, address in enumerate(addresses, start=1):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return self._inner[host].handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise AssertionError("unreachable: _addresses gives at least one address")

    def close(self) -> None:
        """Close all connections."""
        for transport in self._inner.values():
            transport.close()

    def _addresses(self, host: str, port: int) -> list[str]:
        if (host, port) not in self._pinned:
            try:
                found = list(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                raise httpx.ConnectError(f"the name {host} has no address ({error})") from error
            allowed = [a for a in found if self._allow_private or why_refused(a) is None]
            if not allowed:
                reason = why_refused(found[0]) if found else "no address"
                raise AddressRefused(f"{reason} {', '.join(found)}".strip())
            self._pinned[host, port] = allowed[:_MAX_TRIED]
        return self._pinned[host, port]
