"""Which addresses belong to the public internet, and which to this machine or its network."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

UNICAST = IPv6Network("2000::/3")  # all of IPv6 that is assigned for the public internet
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# What Python calls global, or did in some versions: protocol assignments, 6to4 relays
SPECIAL = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))
DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, later than some versions of Python


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet.

    Loopback, private, link-local, shared (RFC 6598), multicast, unspecified and reserved addresses
    are not, nor are IPv6 addresses that stand for such an IPv4 address.

    >>> is_public("192.168.1.1"), is_public("::ffff:7f00:1"), is_public("1.1.1.1")
    (False, False, True)
    """
    if "%" in address:  # an IPv6 address with a zone, which is link-local
        return False
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        inner = _inner(found)
        if inner is None:
            return found in UNICAST and found not in DOCUMENTATION and found.is_global
        found = inner
    is_special = found.is_multicast or found.is_reserved or any(found in net for net in SPECIAL)
    return found.is_global and not is_special


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which packets to an IPv6 address go."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def is_link_local(address: str) -> bool:
    """Return whether an IP address leads no further than one cable, or to a cloud's metadata.

    >>> is_link_local("169.254.169.254"), is_link_local("fe80::1%lo"), is_link_local("10.0.0.1")
    (True, True, False)
    """
    found = ip_address(address.partition("%")[0])
    inner = _inner(found) if isinstance(found, IPv6Address) else None
    return (inner or found).is_link_local


def names_local_host(host: str) -> bool:
    """Return whether a host is localhost, or spells out an address that is not public.

    Also in the forms that connections accept. Other names are not resolved.

    >>> [names_local_host(host) for host in ("0x7f.1", "2130706433", "localhost.", "museum.org")]
    [True, True, True, False]
    """
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = spelled_address(host)
    return "%" in host or (address != "" and not is_public(address))


def spelled_address(host: str) -> str:
    """Return the IP address that a host spells out, "" for a name."""
    host = host.strip("[]").rstrip(".")
    with suppress(ValueError):
        ip_address(host.partition("%")[0])
        return host
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return ""
