"""How names are looked up here: resolv.conf and /etc/hosts, read as Go's own resolver reads them.

Rules from Go's `net` package (`dnsconfig_unix.go`, `hosts.go`, `dnsclient_unix.go`): kubectl is a
static binary, so that the C library, its caches and its modules have no say. nsswitch.conf is
taken to say `files dns`, which is what Go does where it says nothing unusual.
"""

import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from kubelag.model.path import Resolver
from kubelag.observe.path.places import place

_PORT = 53
_MOST_SERVERS = 3
_DEFAULT_SERVERS = ("127.0.0.1", "::1")
_HIGHEST_NDOTS = 15
_LONGEST_NAME = 254
"""With the last dot. Source: `isDomainName` of Go's net package, RFC 1035."""
_ONION = ".onion"
_LONGEST_FILE_BYTES = 1 << 20
"""What is read of either file. Arbitrary; ad blockers ship hosts files of that order."""


def read_resolver(resolv_conf: Path, hosts: Path, name: str) -> Resolver:
    """What the two files say; a file that cannot be read is an empty one, as for Go.

    Args:
        resolv_conf: Usually /etc/resolv.conf.
        hosts: Usually /etc/hosts.
        name: The host that is dialled.
    """
    parsed = parse_resolv_conf(_text(resolv_conf), default_search(socket.gethostname()))
    return Resolver(
        servers=parsed.servers,
        search=parsed.search,
        ndots=parsed.ndots,
        timeout_s=parsed.timeout_s,
        attempts=parsed.attempts,
        source=str(resolv_conf),
        hosts_file=parse_hosts(_text(hosts), name),
    )


def parse_resolv_conf(text: str, search: Sequence[str] = ()) -> Resolver:
    """The resolver that a resolv.conf stands for.

    Args:
        text: Of the file.
        search: Where the file names no domain.
    """
    servers: list[str] = []
    listed: tuple[str, ...] | None = None
    options: list[str] = []
    for line in text.splitlines():
        keyword, *words = line.split() or [""]
        if line[:1] in {"#", ";"}:
            continue
        if keyword == "nameserver" and words and len(servers) < _MOST_SERVERS:
            servers += [words[0]] if _is_address(words[0]) else []
        elif keyword == "domain" and words:
            listed = _domains(words[:1])
        elif keyword == "search":
            listed = _domains(words)
        elif keyword == "options":
            options += words
    return Resolver(
        servers=tuple(place(one, _PORT) for one in servers or _DEFAULT_SERVERS),
        search=tuple(search) if listed is None else listed,
        ndots=min(_HIGHEST_NDOTS, _option(options, "ndots", 1, at_least=0)),
        timeout_s=float(_option(options, "timeout", 5, at_least=1)),
        attempts=_option(options, "attempts", 2, at_least=1),
    )


def default_search(hostname: str) -> tuple[str, ...]:
    """The machine's own domain, where resolv.conf names none."""
    return _domains([hostname.partition(".")[2]])


def parse_hosts(text: str, name: str) -> tuple[str, ...]:
    """The addresses of a name in /etc/hosts, each once, in the file's order."""
    wanted = name.lower().rstrip(".")
    found: list[str] = []
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if wanted in {one.lower().rstrip(".") for one in names} and _is_address(address):
            found.append(address)
    return tuple(dict.fromkeys(found))


def names_to_ask(name: str, resolver: Resolver) -> tuple[tuple[str, bool], ...]:
    """What is asked for a name, in order, each with whether a search domain was appended.

    The next one is asked where the former does not exist. Each ends with a dot.
    """
    if name.lower().rstrip(".").endswith(_ONION):
        return ()
    if name.endswith("."):
        return ((name, False),) if len(name) <= _LONGEST_NAME else ()
    bare = (f"{name}.", False)
    searched = [(f"{name}.{domain}.", True) for domain in resolver.search]
    is_bare_first = name.count(".") >= resolver.ndots
    listed = [bare, *searched] if is_bare_first else [*searched, bare]
    return tuple(one for one in listed if len(one[0]) <= _LONGEST_NAME)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _domains(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.rstrip(".") for word in words if word.rstrip("."))


def _option(words: Sequence[str], name: str, usual: int, *, at_least: int) -> int:
    """The last `name:NUMBER`; what is no number counts as the least, as in Go."""
    given = [word.partition(":")[2] for word in words if word.startswith(f"{name}:")]
    if not given:
        return usual
    digits = given[-1]
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(1 << 31))
    return max(at_least, int(digits) if is_number else 0)
