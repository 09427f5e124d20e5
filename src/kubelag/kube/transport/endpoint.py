"""Reads the URL of a server or a proxy. Pure; `urllib.parse` costs 3 ms and says less."""

from kubelag.errors import KubeconfigError
from kubelag.kube.record import Record, hidden

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_HIGHEST_PORT = 65535
_PORT_DIGITS = 5
_SHOWN_CHARS = 80
_V6_CHARS = frozenset("0123456789abcdefABCDEF:.")


class Endpoint(Record):
    """Where to connect to, and how."""

    scheme: str
    host: str
    """Name or address, without brackets."""
    port: int
    prefix: str = ""
    """Path that comes before every request's, without a slash at its end."""
    user: str = hidden(default="")
    """User information as it stands in the URL, percent-encoded; a credential."""

    @property
    def authority(self) -> str:
        """As the Host header and `:authority` have it; the usual port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def is_tls(self) -> bool:
        """Whether TLS comes first."""
        return self.scheme == "https"


def parse_endpoint(url: str, what: str, default_scheme: str = "http") -> Endpoint:
    """Take a URL apart.

    Args:
        url: For example `https://[::1]:6443/prefix`.
        what: How an error calls it: `server`, `proxy-url of cluster x`.
        default_scheme: Where the URL has none; client-go takes `http` (`DefaultServerURL`).

    Raises:
        KubeconfigError: If it is none.
    """
    scheme, has_scheme, rest = url.partition("://")
    if not has_scheme:
        scheme, rest = default_scheme, url
    scheme = scheme.lower()
    place, slash, path = rest.partition("/")
    user, _, host_and_port = place.rpartition("@")
    host, port = _host_and_port(host_and_port, _PORTS.get(scheme, 0))
    is_clean = url.isascii() and url.isprintable() and not set(' ?#\\"<>') & set(url)
    if not (is_clean and host and scheme in _PORTS and 0 < port <= _HIGHEST_PORT):
        shown = f"{scheme}://{host_and_port}{slash}{path}" if has_scheme else host_and_port
        raise KubeconfigError(
            f"the {what} {shown[:_SHOWN_CHARS]!r} is no URL that kubelag understands",
            "write it as https://HOST:PORT",
        )
    prefix = f"/{path}".rstrip("/")
    return Endpoint(scheme=scheme, host=host, port=port, prefix=prefix, user=user)


def _host_and_port(text: str, usual: int) -> "tuple[str, int]":
    """Host and port; no host where it is neither a name nor an address."""
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        is_host = bool(bracket) and ":" in host and set(host.partition("%")[0]) <= _V6_CHARS
    else:
        host, colon, tail = text.partition(":")
        tail = colon + tail
        is_host = not set("[]@") & set(host)
    digits = tail.removeprefix(":")
    is_port = tail.startswith(":") and digits.isascii() and digits.isdigit()
    if not is_host or (tail and not (is_port and len(digits) <= _PORT_DIGITS)):
        return "", 0
    return host, int(digits) if tail else usual
