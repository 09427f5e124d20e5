"""TLS by OpenSSL's C binding; `ssl` around it turns constants into enums, in 9 ms.

Everything that protects is below `ssl` anyway: the chain and the name are verified by OpenSSL, as
the C core sets it up for `PROTOCOL_TLS_CLIENT`.
"""

try:
    import _ssl as core

    _HAS_CORE = hasattr(core, "_SSLContext") and hasattr(core._SSLContext, "_wrap_socket")  # noqa: SLF001 - the point of this file
except ImportError:  # another Python
    _HAS_CORE = False

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812 - a class
    from typing import Any

if not _HAS_CORE:
    import ssl as core  # type: ignore[no-redef]

TlsError = core.SSLError
DistrustError = core.SSLCertVerificationError
WantReadError = core.SSLWantReadError
_PARTIAL_CHAIN = 0x80000
_NEVER_CHECK_SUBJECT = 0x20
"""`X509_V_FLAG_PARTIAL_CHAIN` and `X509_CHECK_FLAG_NEVER_CHECK_SUBJECT` of OpenSSL's headers."""
_TLS_1_2 = 0x0303
"""As on the wire, and as OpenSSL counts."""


def new_context(protocols: "tuple[str, ...]") -> "Any":  # noqa: ANN401 - of the C core, or of ssl
    """A client's context: certificates are verified, TLS 1.2 or newer.

    Args:
        protocols: Offered by ALPN, the best first.
    """
    context: Any
    if not _HAS_CORE:
        context = core.SSLContext(core.PROTOCOL_TLS_CLIENT)  # type: ignore[attr-defined]
        context.set_alpn_protocols(list(protocols))
    else:
        context = core._SSLContext(core.PROTOCOL_TLS_CLIENT)  # noqa: SLF001 - as above
        offered = b"".join(bytes([len(name)]) + name.encode() for name in protocols)
        context._set_alpn_protocols(offered)  # noqa: SLF001 - as above
    context.minimum_version = _TLS_1_2
    # As Go's crypto/x509: a name counts only where names belong, and whoever is trusted need not
    # be a root.
    context.verify_flags |= _PARTIAL_CHAIN
    context._host_flags |= _NEVER_CHECK_SUBJECT  # noqa: SLF001 - as above
    return context


def trust_anything(context: "Any") -> None:  # noqa: ANN401 - as above
    """Verify neither chain nor name."""
    context.check_hostname = False
    context.verify_mode = core.CERT_NONE


class TlsSocket:
    """A socket with TLS on it: what of `ssl.SSLSocket` is needed here.

    Args:
        sock: Connected; it is this object's from now on.
        context: Of `new_context`.
        server_name: The name that the certificate must have, and that is sent (SNI).
    """

    def __init__(self, sock: "Socket", context: "Any", server_name: str) -> None:  # noqa: ANN401 - as above
        self._sock = sock
        if _HAS_CORE:
            self._tls = context._wrap_socket(sock, False, server_name)  # noqa: SLF001, FBT003 - as above
        else:
            self._tls = self._sock = context.wrap_socket(
                sock,
                server_hostname=server_name,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )

    def shake_hands(self) -> None:
        """Do the handshake, or go on with it where the socket's time was over.

        Raises:
            TlsError: If it fails.
            TimeoutError: If the socket's time is over; it may be tried again.
            OSError: If the connection fails.
        """
        self._tls.do_handshake()

    @property
    def protocol(self) -> str | None:
        """What ALPN settled on; None where the server does not speak it."""
        chosen: str | None = self._tls.selected_alpn_protocol()
        return chosen

    @property
    def version(self) -> str:
        """`TLSv1.3` and the like."""
        return str(self._tls.version())

    def recv(self, limit: int) -> bytes:
        """What there is; empty when the peer has closed TLS, not when it was cut off.

        Raises:
            OSError: If it was cut off, and whatever `socket.recv` raises.
        """
        data: bytes = self._tls.read(limit)
        return data

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    def settimeout(self, timeout_s: float | None) -> None:
        """As of a socket."""
        self._sock.settimeout(timeout_s)

    def close(self) -> None:
        """Close the connection, without a farewell."""
        self._sock.close()
