"""Reads what an HAProxy says on its stats socket. Pure; what cannot be read is passed over.

Source: HAProxy 2.6 management guide, sections 9.1 (CSV format) and 9.3 (`show servers state`,
`show sess`).
"""

import csv
import io
import ipaddress
import re
from collections.abc import Iterator, Mapping
from itertools import islice

from kubelag.model.path import Backend, BalancerCount
from kubelag.observe.path.places import is_literal, place

_NOT_SERVERS = frozenset({"FRONTEND", "BACKEND", ""})
_SERVER_TYPE = "2"
_MOST_ROWS = 1000
_LONGEST_NUMBER = 18
"""Digits; counters are of 64 bits, and so is what a bundle holds."""
_SESSION = re.compile(r"\bsrc=(?P<src>\S+) .*?\bsrv=(?P<srv>\S+)")


def parse_stat(text: str, at_ns: int) -> tuple[BalancerCount, ...]:
    """The counters of every server in `show stat`."""
    rows = islice((row for row in _rows(text) if _is_server(row)), _MOST_ROWS)
    return tuple(_count(row, at_ns) for row in rows)


def parse_servers_state(text: str) -> tuple[tuple[str, Backend], ...]:
    """The servers in `show servers state`, each with the section that it belongs to."""
    lines = [line.split() for line in text.splitlines()]
    heads = [line[1:] for line in lines if line[:1] == ["#"]]
    if not heads:
        return ()
    found = []
    for line in lines[:_MOST_ROWS]:
        row = dict(zip(heads[0], line, strict=False))
        host, port = row.get("srv_addr", ""), _number(row.get("srv_port", ""))
        if line[:1] != ["#"] and is_literal(host) and 0 < port < 1 << 16:
            is_up = row.get("srv_op_state") == "2"
            backend = Backend(
                name=row["srv_name"],
                address=place(host, port),
                source="haproxy stats socket",
                state="UP" if is_up else "DOWN",
            )
            found.append((row["be_name"], backend))
    return tuple(found)


def parse_sessions(text: str) -> Mapping[str, str]:
    """From each client's `IP:port` to the server that it was given, of `show sess`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        session = _SESSION.search(line)
        if not session or session["srv"] == "<none>":
            continue
        host, _, port = session["src"].rpartition(":")
        host = host.strip("[]")
        if is_literal(host) and 0 < _number(port) < 1 << 16:
            found[place(_plain(host), _number(port))] = session["srv"]
    return found


def _plain(host: str) -> str:
    """An IPv4 address that came over an IPv6 socket, as its client knows itself."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _rows(text: str) -> Iterator[dict[str, str]]:
    head, _, rest = text.lstrip().partition("\n")
    if not head.startswith("# "):
        return
    names = head[2:].strip().split(",")
    try:
        for values in csv.reader(io.StringIO(rest.replace("\0", ""))):
            yield dict(zip(names, values, strict=False))
    except csv.Error:
        return


def _is_server(row: Mapping[str, str]) -> bool:
    kind = row.get("type", _SERVER_TYPE)
    return kind == _SERVER_TYPE and row.get("svname", "") not in _NOT_SERVERS


def _count(row: Mapping[str, str], at_ns: int) -> BalancerCount:
    def number(name: str) -> int:
        return _number(row.get(name, ""))

    return BalancerCount(
        at_ns=at_ns,
        frontend=row.get("pxname", ""),
        server=row.get("svname", ""),
        status=row.get("status", ""),
        sessions=number("stot"),
        connect_errors=number("econ"),
        retries=number("wretr"),
        redispatches=number("wredis"),
        queue_ms=number("qtime"),
        connect_ms=number("ctime"),
        downs=number("chkdown"),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else 0
