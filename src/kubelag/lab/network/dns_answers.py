"""What the lab's name servers answer, and when: no sockets, no clock."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

import dnslib

from kubelag.errors import LabError

PLAIN_BYTES = 512
"""Bytes of an answer by UDP to a question without EDNS. Source: RFC 1035, section 4.2.1."""
EDNS_BYTES = 1232
"""Bytes by UDP that we say we take. Source: DNS flag day 2020."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """One name's addresses, in the order in which they are answered."""

    a: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServer:
    """How one name server behaves; by itself it answers at once."""

    silent: bool = False
    """It never answers anything, as a dead host."""
    refused: bool = False
    """It answers everything with REFUSED at once; nothing below matters then."""
    dropped_types: tuple[str, ...] = ()
    """Types of questions that are never answered, such as AAAA."""
    delay_s: float = 0.0
    """Before every answer. Delays add up."""
    delay_by_type_s: Mapping[str, float] = field(default_factory=dict)
    """Before answers to questions of a type, such as AAAA."""
    delay_unknown_s: float = 0.0
    """Before the answer that there is no such name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSettings:
    """What all name servers of one process know, and how each of them behaves."""

    records: Mapping[str, Records] = field(default_factory=dict)
    """By name; upper and lower case and a last dot make no difference. There are no others."""
    servers: Mapping[str, NameServer] = field(default_factory=dict)
    """By address, for those that do not just answer."""
    ttl_s: int = 5
    """How long answers may be kept. Arbitrary; short, so that a change of settings is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a name server does with one message."""

    kind: str
    """What it was: the type of question, or why there was none."""
    message: dnslib.DNSRecord | None = None
    """None where it stays silent."""
    delay_s: float = 0.0

    def packed(self, limit_bytes: int) -> bytes:
        """The message as bytes; without its records, and marked as cut off, if there is no room."""
        if self.message is None:
            return b""
        whole = bytes(self.message.pack())
        if len(whole) <= limit_bytes:
            return whole
        self.message.rr = []
        self.message.header.tc = 1
        return bytes(self.message.pack())


class Zone:
    """Every name that there is.

    Raises:
        LabError: An address is none, or of the wrong family; says the name.
    """

    def __init__(self, settings: DnsSettings) -> None:
        self._ttl_s = settings.ttl_s
        self._records = {
            name.rstrip(".").lower().encode(): {
                "A": tuple(map(dnslib.A, _checked(name, records.a, 4))),
                "AAAA": tuple(map(dnslib.AAAA, _checked(name, records.aaaa, 6))),
            }
            for name, records in settings.records.items()
        }

    def answer(self, data: bytes, server: NameServer) -> Answer:
        """What that server does with a message, which may be anything."""
        try:
            asked = dnslib.DNSRecord.parse(data)
        except (dnslib.DNSError, ValueError):  # noise, which every server meets and ignores
            return Answer(kind="noise")
        if asked.header.qr:  # answering an answer could go on for ever
            return Answer(kind="noise")
        kind = _type_of(asked)
        if server.silent or kind in server.dropped_types:
            return Answer(kind=kind)
        reply = _empty_reply(asked)
        if server.refused:
            reply.header.rcode = dnslib.RCODE.REFUSED
            return Answer(kind=kind, message=reply)
        delay_s = server.delay_s + server.delay_by_type_s.get(kind, 0.0)
        self._fill(reply, asked, kind)
        if reply.header.rcode == dnslib.RCODE.NXDOMAIN:
            delay_s += server.delay_unknown_s
        return Answer(kind=kind, message=reply, delay_s=delay_s)

    def _fill(self, reply: dnslib.DNSRecord, asked: dnslib.DNSRecord, kind: str) -> None:
        if asked.header.opcode != dnslib.OPCODE.QUERY:
            reply.header.rcode = dnslib.RCODE.NOTIMP
        elif len(asked.questions) != 1:
            reply.header.rcode = dnslib.RCODE.FORMERR
        elif (records := self._records.get(b".".join(asked.q.qname.label).lower())) is None:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        else:
            for data in records.get(kind, ()):
                number = dnslib.QTYPE.reverse[kind]
                reply.add_answer(dnslib.RR(asked.q.qname, number, rdata=data, ttl=self._ttl_s))


def udp_limit_bytes(data: bytes) -> int:
    """How long an answer by UDP the sender of this message can take. Source: RFC 6891, 6.2.3."""
    try:
        extra = dnslib.DNSRecord.parse(data).ar
    except (dnslib.DNSError, ValueError):
        return PLAIN_BYTES
    sizes = [int(one.rclass) for one in extra if one.rtype == dnslib.QTYPE.OPT]
    return max([PLAIN_BYTES, *sizes])


def checked_servers(settings: DnsSettings, addresses: frozenset[str]) -> Mapping[str, NameServer]:
    """How every one of these addresses behaves.

    Raises:
        LabError: The settings speak of another address.
    """
    strangers = sorted(settings.servers.keys() - addresses)
    if strangers:
        raise LabError(
            f"No name server has the address {strangers[0]}",
            f"choose from {', '.join(sorted(addresses))}",
        )
    return {one: settings.servers.get(one, NameServer()) for one in addresses}


def _empty_reply(asked: dnslib.DNSRecord) -> dnslib.DNSRecord:
    reply = asked.reply()
    if any(one.rtype == dnslib.QTYPE.OPT for one in asked.ar):
        reply.add_ar(dnslib.EDNS0(udp_len=EDNS_BYTES))
    return reply


def _type_of(asked: dnslib.DNSRecord) -> str:
    return str(dnslib.QTYPE[asked.q.qtype]) if asked.questions else "none"


def _checked(name: str, addresses: tuple[str, ...], version: int) -> tuple[str, ...]:
    for address in addresses:
        try:
            is_right = ipaddress.ip_address(address).version == version
        except ValueError:
            is_right = False
        if not is_right:
            raise LabError(f"The name {name} cannot have the IPv{version} address {address}")
    return addresses
