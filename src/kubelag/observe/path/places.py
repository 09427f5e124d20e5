"""Addresses with their ports as text: `192.0.2.1:6443`, `[2001:db8::1]:6443`. Pure."""

import ipaddress

from kubelag.errors import UsageError

_HIGHEST_PORT = 65535
_PORT_DIGITS = 5


def place(host: str, port: int) -> str:
    """Host and port as one word."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_place(text: str) -> tuple[str, int]:
    """Host and port of such a word.

    Raises:
        UsageError: If it is none.
    """
    host, _, digits = text.rpartition(":")
    is_port = digits.isascii() and digits.isdigit() and len(digits) <= _PORT_DIGITS
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_host = bool(bare) and bare.isprintable() and (":" not in bare or bare != host)
    if not is_host or not is_port or not 0 < int(digits) <= _HIGHEST_PORT:
        raise UsageError(
            f"{text[:80]!r} is no address with a port",
            "write 192.0.2.1:6443, name:6443 or [2001:db8::1]:6443",
        )
    return bare, int(digits)


def is_literal(host: str) -> bool:
    """Whether it is an address, with a zone or without, so that no name is looked up."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
