"""In which order a Go client dials the addresses of a name. Pure, but for the routes it is told.

Source: RFC 6724 section 6 as Go's `net/addrselect.go` has it (rules 1, 2, 5, 6, 8 and, for IPv6,
9), then `net/dial.go`, which dials the first address's family before the other one.
Approximations: the policy table is the RFC's own; an administrator's /etc/gai.conf does not count
in Go either. A source address is what the kernel chooses for a datagram at this moment.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from functools import cmp_to_key

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SourceOf = Callable[[str], str | None]
"""From a destination to our own address for it; None where there is no route."""

# Prefix, precedence, label: RFC 6724 section 2.1.
_POLICY = tuple(
    (ipaddress.IPv6Network(prefix), precedence, label)
    for prefix, precedence, label in (
        ("::1/128", 50, 0),
        ("::ffff:0:0/96", 35, 4),
        ("::/96", 1, 3),
        ("2001::/32", 5, 5),
        ("2002::/16", 30, 2),
        ("3ffe::/16", 1, 12),
        ("fec0::/10", 1, 11),
        ("fc00::/7", 3, 13),
        ("::/0", 40, 1),
    )
)
_LINK_LOCAL, _SITE_LOCAL, _GLOBAL = 0x2, 0x5, 0xE
_LONGEST_COMMON_BITS = 64
"""As Go's `commonPrefixLen`: what follows says nothing of the way."""


def dial_order(addresses: Iterable[str], source_of: SourceOf) -> tuple[str, ...]:
    """The addresses in the order in which they are dialled, each once.

    Args:
        addresses: As answered: those of A before those of AAAA.
        source_of: Tells our own address for each.
    """
    candidates = [_Candidate(text, source_of(text)) for text in dict.fromkeys(addresses)]
    ordered = sorted(candidates, key=cmp_to_key(_compare))
    if not ordered:
        return ()
    version = ordered[0].address.version
    first = [one.text for one in ordered if one.address.version == version]
    return (*first, *(one.text for one in ordered if one.address.version != version))


def source_by_kernel(address: str) -> str | None:
    """Our address for a destination; connecting a datagram socket sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


class _Candidate:
    """A destination with what the rules compare."""

    def __init__(self, text: str, source: str | None) -> None:
        self.text = text
        self.address = _parsed(text)
        self.source = _parsed(source) if source else None
        self.precedence, self.label = _policy(self.address)
        self.scope = _scope(self.address)


def _compare(a: _Candidate, b: _Candidate) -> int:
    """Negative where `a` comes first; 0 leaves the order as it is."""
    if a.source is None or b.source is None:
        return (a.source is None) - (b.source is None)
    rules = (
        (_scope(b.source) == b.scope) - (_scope(a.source) == a.scope),
        (_policy(b.source)[1] == b.label) - (_policy(a.source)[1] == a.label),
        b.precedence - a.precedence,
        a.scope - b.scope,
    )
    if any(rules):
        return next(rule for rule in rules if rule)
    if a.address.version != b.address.version or a.address.version == 4:  # noqa: PLR2004 - IPv4
        return 0
    return _common_bits(b.source, b.address) - _common_bits(a.source, a.address)


def _parsed(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _mapped(address: Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv6Address):
        return address
    return ipaddress.IPv6Address(f"::ffff:{address}")


def _policy(address: Address) -> tuple[int, int]:
    """Precedence and label."""
    mapped = _mapped(address)
    rows = [row for row in _POLICY if mapped in row[0]]
    _, precedence, label = max(rows, key=lambda row: row[0].prefixlen)
    return precedence, label


def _scope(address: Address) -> int:
    if address.is_loopback or address.is_link_local:
        return _LINK_LOCAL
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_multicast:
            return address.packed[1] & 0xF
        if address.is_site_local:
            return _SITE_LOCAL
    return _GLOBAL


def _common_bits(one: Address, other: Address) -> int:
    if one.version != other.version:
        return 0
    bits = one.max_prefixlen - (int(one) ^ int(other)).bit_length()
    return min(bits, _LONGEST_COMMON_BITS)
