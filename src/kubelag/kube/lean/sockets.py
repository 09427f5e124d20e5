"""Sockets by their C core; the module around it loads `selectors` and `enum`.

What is here behaves as in `socket`, but constants are plain numbers.
"""

try:
    import _socket as core
except ImportError:  # another Python
    import socket as core  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812 - a class

    from kubelag.kube.lean.tls import TlsSocket

STREAM = core.SOCK_STREAM


class _Socket(core.socket):
    """A socket that can be referred to weakly, as the C core of TLS does."""

    __slots__ = ("__weakref__",)


def new_socket(family: int, kind: int, protocol: int) -> "Socket":
    """A socket that a child process does not inherit (PEP 446)."""
    return _Socket(family, kind, protocol)  # type: ignore[return-value]  # it has all that is used


def look_up(host: str, port: int) -> "list[tuple[int, int, int, str, tuple[str, int]]]":
    """The addresses of a name, as `getaddrinfo` gives them.

    A plain name goes as bytes, or its encoding would be loaded first (`encodings.idna`, 2 ms).

    Raises:
        OSError: If there are none.
        UnicodeError: If it can be no name.
    """
    name: bytes | str = host.encode() if host.isascii() else host
    return list(core.getaddrinfo(name, port, type=STREAM))  # type: ignore[arg-type]


def numeric(host: str, port: int) -> "list[tuple[int, int, int, str, tuple[str, int]]] | None":
    """The same of an IPv4 address in the usual form, without asking; None for anything else."""
    try:
        is_usual = core.inet_ntoa(core.inet_aton(host)) == host
    except (OSError, UnicodeError):
        return None
    return None if not is_usual else [(core.AF_INET, STREAM, 0, "", (host, port))]


def is_readable(sock: "Socket | TlsSocket") -> bool:
    """Whether something has come, or the peer has closed."""
    from select import POLLIN, poll  # noqa: PLC0415 -- only for connections that are used again

    waiting = poll()
    waiting.register(sock.fileno(), POLLIN)
    return bool(waiting.poll(0))


def set_no_delay(sock: "Socket") -> None:
    """Small writes are sent at once."""
    sock.setsockopt(core.IPPROTO_TCP, core.TCP_NODELAY, 1)


def connect_error(sock: "Socket") -> int:
    """What became of a connection that was begun: 0, or an errno."""
    return sock.getsockopt(core.SOL_SOCKET, core.SO_ERROR)
