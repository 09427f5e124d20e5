"""Finds the servers behind a port in an HAProxy configuration. Pure.

Source: HAProxy 2.6 configuration manual, chapters 2 (quoting), 4 (`bind`, `default_backend`,
`use_backend`, `server`) and 11 (addresses). What is decided only when HAProxy runs (variables of
its environment, ACLs, templates) is not known here: every backend that a rule may choose counts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kubelag.model.path import Backend
from kubelag.observe.path.places import place

_PROXIES = frozenset({"listen", "frontend", "backend"})
_OTHER = ("global", "defaults", "peers", "resolvers", "userlist", "mailers", "cache", "program")
_SECTIONS = _PROXIES | {*_OTHER, "http-errors", "ring", "fcgi-app", "log-forward"}
_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s#"'\\])+""")
_QUOTED = re.compile(r"""\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'""")
_ADDRESS = re.compile(
    r"^(?:(?:ipv4|ipv6|tcp|tcp4|tcp6)@)?(?P<host>.*?)(?::(?P<port>[+-]?\d{1,5}(?:-\d{1,5})?))?$"
)
_LOCAL = ("unix@", "abns@", "fd@", "sockpair@", "uxst@", "/", "quic4@", "quic6@", "udp@")
_MOST_SERVERS = 64
"""Arbitrary; no control plane has as many."""


@dataclass(slots=True)
class _Section:
    """A proxy section: what it listens on, where it leads, and its servers."""

    kind: str
    name: str
    binds: list[str] = field(default_factory=list)
    leads_to: list[str] = field(default_factory=list)
    servers: list[tuple[str, str, bool]] = field(default_factory=list)
    """Name, address as it is written, and whether it is disabled."""


def backends_behind(text: str, port: int) -> tuple[Backend, ...]:
    """The servers to which connections to a port are dealt out, in the file's order.

    Args:
        text: Of the configuration, all files one after the other.
        port: On which the front listens.
    """
    sections = list(_sections(text))
    fronts = [one for one in sections if any(port in _ports(bind) for bind in one.binds)]
    led_to = {name for front in fronts for name in front.leads_to}
    chosen = [
        one for one in sections if one in fronts or (one.kind != "frontend" and one.name in led_to)
    ]
    found: dict[str, Backend] = {}
    for name, written, is_disabled in (server for one in chosen for server in one.servers):
        if address := _server_address(written, port):
            state = "MAINT" if is_disabled else ""
            backend = Backend(
                name=name, address=address, source="haproxy configuration", state=state
            )
            found.setdefault(address, backend)
    return tuple(found.values())[:_MOST_SERVERS]


def _sections(text: str) -> Iterator[_Section]:
    current: _Section | None = None
    for line in text.splitlines():
        words = _words(line)
        if not words:
            continue
        if words[0] in _SECTIONS:
            if current:
                yield current
            current = _begun(words)
        elif current:
            _take(current, words)
    if current:
        yield current


def _begun(words: Sequence[str]) -> _Section | None:
    """The section that a line opens; None where it is of no interest."""
    if words[0] not in _PROXIES or len(words) < 2:  # noqa: PLR2004 - the kind and a name
        return None
    section = _Section(kind=words[0], name=words[1])
    # Before 2.1 a section could listen on addresses beside its name.
    section.binds += [word for word in words[2:3] if ":" in word and words[0] != "backend"]
    return section


def _take(section: _Section, words: Sequence[str]) -> None:
    keyword, *rest = words
    if keyword == "bind" and rest:
        section.binds.append(rest[0])
    elif keyword in {"default_backend", "use_backend"} and rest:
        section.leads_to.append(rest[0])
    elif keyword == "server" and len(rest) > 1:
        section.servers.append((rest[0], rest[1], "disabled" in rest[2:]))


def _words(line: str) -> list[str]:
    """The words of a line without its comment, quotes and backslashes taken off."""
    words, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        found = _WORD.match(line, at)
        if not found:
            break
        words.append(_QUOTED.sub(lambda one: next(filter(None, one.groups()), ""), found[0]))
        at = found.end()
    return words


def _ports(bind: str) -> set[int]:
    """The ports of a `bind` line's addresses; a range counts as its two ends and all between."""
    found: set[int] = set()
    for one in bind.split(","):
        written = _ADDRESS.match(one) if not one.startswith(_LOCAL) else None
        first, _, last = ((written and written["port"]) or "").partition("-")
        if first.isdigit():
            found |= set(range(int(first), (int(last) if last.isdigit() else int(first)) + 1))
    return found


def _server_address(written: str, front_port: int) -> str:
    """Where a server is; empty where that is no host with a port."""
    found = _ADDRESS.match(written) if not written.startswith(_LOCAL) else None
    if not found:
        return ""
    host, port = found["host"], found["port"] or "+0"
    if host.startswith("[") != host.endswith("]"):
        return ""
    host = host.strip("[]")
    if not host or "$" in host or "-" in port.lstrip("+-") or not host.isprintable():
        return ""
    # Without a port of its own, or with a signed one, it starts from the one that was dialled.
    number = front_port + int(port) if port[0] in "+-" else int(port)
    return place(host, number) if 0 < number < 1 << 16 else ""
