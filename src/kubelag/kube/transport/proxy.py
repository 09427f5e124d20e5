"""Which proxy stands between, and how it is asked for a way through.

Sources: `golang.org/x/net/http/httpproxy` (which variables count, what NO_PROXY means); RFC 9110
§9.3.6 (CONNECT); RFC 1928 and RFC 1929 (SOCKS 5).
"""

from kubelag.errors import KubeconfigError, TransportError
from kubelag.kube.transport.endpoint import Endpoint, parse_endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

_ANSWER_LIMIT_BYTES = 64 * 1024
_OK = 200
_PROXY_AUTH_REQUIRED = 407
_SOCKS_VERSION = 5
_SOCKS_PASSWORD = 2
_SOCKS_NO_METHOD = 0xFF
_SOCKS_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "it took too long",
    7: "command not supported",
    8: "address type not supported",
}


def chosen_proxy(server: Endpoint, proxy_url: str, env: "Mapping[str, str]") -> Endpoint | None:
    """The proxy to this server; None where there is none.

    Args:
        server: Where the requests go.
        proxy_url: The kubeconfig's `proxy-url`; it wins over every variable, NO_PROXY too.
        env: Where HTTPS_PROXY and its relatives are looked for; upper case wins, as in Go.

    Raises:
        KubeconfigError: If it is no URL, or of a kind that is not spoken here.
    """
    if proxy_url:
        return _checked(parse_endpoint(proxy_url, "proxy-url of the kubeconfig"))
    name = "HTTPS_PROXY" if server.is_tls else "HTTP_PROXY"
    found = env.get(name) or env.get(name.lower())
    if not found or _is_spared(server, env.get("NO_PROXY") or env.get("no_proxy") or ""):
        return None
    return _checked(parse_endpoint(found, f"proxy in {name}"))


def _checked(proxy: Endpoint) -> Endpoint:
    if proxy.scheme == "https":
        raise KubeconfigError(
            f"the proxy {proxy.authority} is to be spoken to over TLS, which kubelag cannot",
            "use its http:// or socks5:// port",
        )
    return proxy


def _is_spared(server: Endpoint, no_proxy: str) -> bool:
    import ipaddress  # noqa: PLC0415 -- 5 ms, and few machines have a proxy

    host = server.host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    rules = (rule.strip().lower() for rule in no_proxy.split(","))
    return any(_spares(rule, host, address, server.port) for rule in rules if rule)


def _spares(rule: str, host: str, address: object, port: int) -> bool:
    import ipaddress  # noqa: PLC0415 -- as above

    if rule == "*":
        return True
    try:
        if address is not None and address in ipaddress.ip_network(rule, strict=False):
            return True
    except (ValueError, TypeError):
        pass
    name, colon, wanted_port = rule.rpartition(":")
    if colon and wanted_port.isdigit():
        if int(wanted_port) != port:
            return False
        rule = name.strip("[]")
    if address is not None:
        return rule == str(address)
    bare = rule.removeprefix("*").removeprefix(".")
    is_suffix_only = rule != bare
    return host.endswith(f".{bare}") or (host == bare and not is_suffix_only)


def authorization(proxy: Endpoint) -> str:
    """The value of Proxy-Authorization; empty where the proxy's URL names nobody."""
    if not proxy.user:
        return ""
    from base64 import b64encode  # noqa: PLC0415 -- few proxies ask
    from urllib.parse import unquote  # noqa: PLC0415 -- the same

    return f"Basic {b64encode(unquote(proxy.user).encode()).decode()}"


def open_tunnel(
    sock: "socket.socket", proxy: Endpoint, server: Endpoint, limit: "Callable[[], None]"
) -> None:
    """Ask the proxy at the other end of the socket for a way to the server.

    Args:
        sock: Connected to the proxy.
        proxy: For messages, and who we are to it.
        server: Where to.
        limit: Called before every reading: sets the socket's time to what is left.

    Raises:
        TransportError: If it refuses, or speaks something else.
        OSError: If the socket fails or times out.
    """
    if proxy.scheme.startswith("socks5"):
        _socks(_Reader(sock, proxy, limit), proxy, server)
    else:
        _connect(_Reader(sock, proxy, limit), proxy, server)


class _Reader:
    """Reads so many bytes from a proxy, and no more: what follows is already the server's."""

    def __init__(self, sock: "socket.socket", proxy: Endpoint, limit: "Callable[[], None]") -> None:
        self.sendall = sock.sendall
        self._sock, self._proxy, self._limit = sock, proxy, limit

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        read = b""
        while len(read) < count:
            self._limit()
            piece = self._sock.recv(count - len(read))
            if not piece:
                raise _refused(self._proxy, "closed the connection")
            read += piece
        return read


def _connect(sock: _Reader, proxy: Endpoint, server: Endpoint) -> None:
    host = f"[{server.host}]" if ":" in server.host else server.host
    target = f"{host}:{server.port}"
    credential = authorization(proxy)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: kubelag"]
    lines += [f"Proxy-Authorization: {credential}"] if credential else []
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.exactly(1)
        if len(head) > _ANSWER_LIMIT_BYTES:
            raise _refused(proxy, "answered no HTTP")
    words = head.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():  # noqa: PLR2004 - version and status
        raise _refused(proxy, "answered no HTTP")
    status = int(words[1])
    if status == _PROXY_AUTH_REQUIRED:
        raise _refused(proxy, "wants a name and a password (407)")
    if status != _OK:
        raise _refused(proxy, f"refused the way to {target} (HTTP {status})")


def _socks(sock: _Reader, proxy: Endpoint, server: Endpoint) -> None:
    method = _SOCKS_PASSWORD if proxy.user else 0
    sock.sendall(bytes([_SOCKS_VERSION, 1, method]))
    version, chosen = sock.exactly(2)
    if version != _SOCKS_VERSION:
        raise _refused(proxy, "does not speak SOCKS 5")
    if chosen == _SOCKS_NO_METHOD or chosen != method:
        raise _refused(proxy, "wants another kind of log-in")
    if method:
        _socks_log_in(sock, proxy)
    name = server.host.encode("idna" if not server.host.isascii() else "ascii")
    request = bytes([_SOCKS_VERSION, 1, 0, 3, len(name)]) + name + server.port.to_bytes(2, "big")
    sock.sendall(request)
    _, answer, _, kind = sock.exactly(4)
    if answer:
        raise _refused(proxy, f"refused: {_SOCKS_REFUSALS.get(answer, f'code {answer}')}")
    length = {1: 4, 4: 16}.get(kind) or sock.exactly(1)[0]
    sock.exactly(length + 2)


def _socks_log_in(sock: _Reader, proxy: Endpoint) -> None:
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415 -- few proxies ask

    user, _, password = proxy.user.partition(":")
    pair = b"".join(bytes([len(part)]) + part for part in map(unquote_to_bytes, (user, password)))
    sock.sendall(b"\x01" + pair)
    if sock.exactly(2)[1]:
        raise _refused(proxy, "does not accept the name and password")


def _refused(proxy: Endpoint, what: str) -> TransportError:
    return TransportError(
        f"the proxy {proxy.authority} {what}",
        "check proxy-url in the kubeconfig and HTTPS_PROXY, or spare this server with NO_PROXY",
    )
