"""Reads the URL of a server or a proxy. Pure; `urllib.parse` costs 3 ms and says less."""

import re

from kubelag.errors import KubeconfigError
from kubelag.kube.record import Record, hidden

_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:(?P<user>[^/@?#]*)@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^/:?#\[\]@\s]+))"
    r"(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/[^?#\s]*)?",
)
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_HIGHEST_PORT = 65535


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
    found = _URL.fullmatch(url)
    scheme = (found["scheme"] or default_scheme).lower() if found else ""
    port = int(found["port"] or _PORTS.get(scheme, 0)) if found else 0
    if found is None or scheme not in _PORTS or not 0 < port <= _HIGHEST_PORT:
        shown = re.sub(r"//[^/@]*@", "//", url)[:80]
        raise KubeconfigError(
            f"the {what} {shown!r} is no URL that kubelag understands",
            "write it as https://HOST:PORT",
        )
    return Endpoint(
        scheme=scheme,
        host=found["v6"] or found["host"],
        port=port,
        prefix=(found["path"] or "").rstrip("/"),
        user=found["user"] or "",
    )
