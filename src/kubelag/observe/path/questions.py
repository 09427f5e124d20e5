"""Asks every name server for itself what a Go client would ask, and takes the time of each answer.

Go asks A and AAAA side by side, one server after the other, and the next server only where one
fails. Asked one by one, each server shows what it would have cost.
"""

import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from kubelag.model.path import NameProbe, Resolver
from kubelag.observe.path.places import split_place
from kubelag.observe.path.resolver import names_to_ask

Kind = Literal["A", "AAAA"]
_KINDS: tuple[Kind, ...] = ("A", "AAAA")
_LONGEST_S = 5.0
"""Longest wait for one answer: what resolv.conf says where it says nothing."""
_SEARCH_S = 1.0
"""What a search list may take of one server beyond that. Arbitrary; healthy servers answer in
milliseconds, and the path is to be looked at too."""
_PAYLOAD_BYTES = 1232
"""Advertised as Go does (EDNS0, since 1.19)."""
_LARGEST_DATAGRAM_BYTES = 65535
_MOST_ALIASES = 16
_MOST_ADDRESSES = 64
"""Arbitrary; more are of no use to anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to one server."""

    name: str
    """With its last dot."""
    kind: Kind
    server: str
    """`IP:port`."""
    is_searched: bool = False


def ask_all(
    name: str, resolver: Resolver, clock: Callable[[], float] = time.monotonic
) -> tuple[NameProbe, ...]:
    """Every question that the name leads to, to every server; dead servers are waited for together.

    A server that leaves a kind of question unanswered is not asked another of that kind, so that
    each costs one limit.

    Args:
        name: As it is dialled.
        resolver: Whom to ask, and how long an answer may take.
        clock: Monotonic seconds.

    Returns:
        In the order of the servers, the names and A before AAAA.
    """
    names = names_to_ask(name, resolver)
    if not names or not resolver.servers:
        return ()
    limit_s = min(resolver.timeout_s, _LONGEST_S)
    with ThreadPoolExecutor(max_workers=len(resolver.servers), thread_name_prefix="dns") as pool:
        one_server = partial(_ask_server, names=names, limit_s=limit_s, clock=clock)
        found = list(pool.map(one_server, resolver.servers))
    return tuple(probe for probes in found for probe in probes)


def _ask_server(
    server: str,
    names: Sequence[tuple[str, bool]],
    limit_s: float,
    clock: Callable[[], float],
) -> list[NameProbe]:
    """Its answers, up to the first name that exists."""
    probes: list[NameProbe] = []
    until_s = clock() + limit_s + _SEARCH_S
    with ThreadPoolExecutor(max_workers=len(_KINDS), thread_name_prefix="dns") as pool:
        for name, is_searched in names:
            silent = {one.kind for one in probes if one.code == "timeout"}
            kinds = [kind for kind in _KINDS if kind not in silent]
            left_s = min(limit_s, until_s - clock())
            if not kinds or left_s <= 0:
                break
            questions = [
                Question(name=name, kind=kind, server=server, is_searched=is_searched)
                for kind in kinds
            ]
            answers = list(pool.map(partial(ask, limit_s=left_s), questions))
            probes += answers
            if any(answer.addresses for answer in answers):
                break
    return probes


def ask(question: Question, limit_s: float) -> NameProbe:
    """One question, over UDP, and over TCP where the answer was cut short."""
    began_ns = time.perf_counter_ns()
    code, addresses = _answered(question, time.monotonic() + limit_s)
    return NameProbe(
        name=question.name.rstrip("."),
        kind=question.kind,
        server=question.server,
        took_ns=time.perf_counter_ns() - began_ns,
        code=code,
        addresses=addresses,
        is_searched=question.is_searched,
    )


def _answered(question: Question, deadline: float) -> tuple[str, tuple[str, ...]]:
    """The answer's code and addresses."""
    try:
        query = dns.message.make_query(
            question.name, question.kind, use_edns=0, payload=_PAYLOAD_BYTES
        )
        query.id = secrets.randbelow(1 << 16)
        answer = _over_udp(query, question.server, deadline)
        if answer.flags & dns.flags.TC:
            answer = _over_tcp(query, question.server, deadline)
    except TimeoutError:
        return "timeout", ()
    except ConnectionRefusedError:
        return "refused", ()
    except OSError as error:
        return f"error: {(error.strerror or str(error)).lower()}", ()
    except (dns.exception.DNSException, ValueError):
        return "error: no answer that can be read", ()
    code = dns.rcode.to_text(answer.rcode())
    return str(code), addresses_in(answer, question.kind)


def addresses_in(answer: dns.message.Message, kind: Kind) -> tuple[str, ...]:
    """The addresses of the name asked for, its aliases followed."""
    if not answer.question:
        return ()
    name = answer.question[0].name
    for _ in range(_MOST_ALIASES):
        here = [one for one in answer.answer if one.name == name]
        found = [str(data) for one in here if one.rdtype == _TYPES[kind] for data in one]
        if found:
            return tuple(found[:_MOST_ADDRESSES])
        aliases = [data for one in here if one.rdtype == dns.rdatatype.CNAME for data in one]
        if not aliases:
            return ()
        name = aliases[0].target
    return ()


_TYPES = {"A": dns.rdatatype.A, "AAAA": dns.rdatatype.AAAA}


def _over_udp(query: dns.message.Message, server: str, deadline: float) -> dns.message.Message:
    host, port = split_place(server)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0][4])
        sock.send(query.to_wire())
        while True:
            sock.settimeout(_left(deadline))
            answer = _parsed(sock.recv(_LARGEST_DATAGRAM_BYTES))
            # Somebody else's, or a late one of before.
            if answer is not None and query.is_response(answer):
                return answer


def _over_tcp(query: dns.message.Message, server: str, deadline: float) -> dns.message.Message:
    wire = query.to_wire()
    with socket.create_connection(split_place(server), timeout=_left(deadline)) as sock:
        sock.sendall(struct.pack("!H", len(wire)) + wire)
        (length,) = struct.unpack("!H", _exactly(sock, 2, deadline))
        answer = _parsed(_exactly(sock, length, deadline))
    if answer is None or not query.is_response(answer):
        raise ValueError("no answer to the question")
    return answer


def _parsed(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None


def _exactly(sock: socket.socket, count: int, deadline: float) -> bytes:
    read = b""
    while len(read) < count:
        sock.settimeout(_left(deadline))
        piece = sock.recv(count - len(read))
        if not piece:
            raise ConnectionResetError("the server closed the connection")
        read += piece
    return read


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
