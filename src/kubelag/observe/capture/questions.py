"""One DNS message, read. Loaded only where a capture has one: dnspython takes 40 ms."""

from typing import NamedTuple

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

_IS_ANSWER = 0x80
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)


class Message(NamedTuple):
    """A question, or an answer to one."""

    is_answer: bool
    id: int
    name: str
    """As asked, without the last dot, in small letters."""
    kind: str
    """`A`, `AAAA` or another type."""
    code: str
    """`NOERROR`, `NXDOMAIN`…"""
    addresses: tuple[str, ...]


def parsed(wire: bytes) -> Message | None:
    """What a datagram says; None where that cannot be read, or asks nothing."""
    if len(wire) < 12:  # noqa: PLR2004 - a DNS header
        return None
    try:
        message = dns.message.from_wire(
            wire, ignore_trailing=True, raise_on_truncation=False, continue_on_error=True
        )
    except (dns.exception.DNSException, ValueError, IndexError):
        return None
    if not message.question:
        return None
    question = message.question[0]
    return Message(
        is_answer=bool(wire[2] & _IS_ANSWER),
        id=message.id,
        name=question.name.to_text(omit_final_dot=True).lower(),
        kind=dns.rdatatype.to_text(question.rdtype),
        code=dns.rcode.to_text(message.rcode()),
        addresses=_addresses(message),
    )


def _addresses(message: dns.message.Message) -> tuple[str, ...]:
    return tuple(item.address for one in message.answer if one.rdtype in _ADDRESSES for item in one)
