"""The TLS context of one cluster and user, and what its errors mean."""

from kubelag.errors import KubeconfigError, TransportError
from kubelag.kube.lean.tls import DistrustError, TlsError, new_context, trust_anything
from kubelag.kube.record import Record, hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kubelag.kube.auth.credentials import ClientCertificate

HTTP1 = "http/1.1"
HTTP2 = "h2"


class TlsSettings(Record):
    """How a server is to be trusted, and who we are."""

    ca_pem: bytes = hidden(default=b"")
    """Certificate authorities; empty for the system's."""
    ca_origin: str = ""
    """Where they come from, for messages: a path, or `certificate-authority-data`."""
    server_name: str
    """The name that the certificate must have."""
    is_insecure: bool = False
    """Whether any certificate will do."""
    has_http2: bool = True
    """Whether HTTP/2 may be offered."""


def make_context(
    settings: TlsSettings, certificate: "ClientCertificate | None", protocols: "tuple[str, ...]"
) -> "Any":  # noqa: ANN401 - of the C core
    """A context for connections to one server.

    Args:
        settings: Whom to trust.
        certificate: The client's.
        protocols: Offered by ALPN, the best first.

    Raises:
        KubeconfigError: If a certificate or key is none, naming where it comes from.
    """
    context = new_context(protocols)
    if settings.is_insecure:
        trust_anything(context)
    elif settings.ca_pem:
        _trust(context, settings)
    else:
        # Reading the system's takes 30 ms, so only where the cluster brings none.
        context.set_default_verify_paths()
    if certificate is not None:
        _present(context, certificate)
    return context


def _trust(context: "Any", settings: TlsSettings) -> None:  # noqa: ANN401 - as above
    try:
        context.load_verify_locations(cadata=settings.ca_pem.decode("ascii", "ignore"))
    except (TlsError, ValueError) as error:
        raise KubeconfigError(
            f"{settings.ca_origin} holds no certificate authority that can be read",
            "it must hold certificates in PEM form",
        ) from error


def _present(context: "Any", certificate: "ClientCertificate") -> None:  # noqa: ANN401 - as above
    """Load the client's certificate and key; OpenSSL wants files, so secrets go through memory."""
    import os  # noqa: PLC0415 -- only with a certificate

    held = [
        _in_memory(data) for data in (certificate.certificate_pem, certificate.key_pem.reveal())
    ]
    try:
        paths = [f"/proc/self/fd/{fd}" for fd in held]
        context.load_cert_chain(paths[0], paths[1], password=_no_password)
    except (TlsError, ValueError) as error:
        raise KubeconfigError(
            f"the client certificate and key of {certificate.origin} cannot be used "
            f"({_reason(error)})",
            "they must be PEM, belong together, and the key must not be encrypted",
        ) from error
    finally:
        for fd in held:
            os.close(fd)


def _in_memory(data: bytes) -> int:
    import os  # noqa: PLC0415 -- only with a certificate

    fd = os.memfd_create("kubelag", os.MFD_CLOEXEC)
    os.write(fd, data)
    return fd


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error)


def handshake_error(error: TlsError, host: str, settings: TlsSettings) -> TransportError:
    """One sentence for a handshake that failed."""
    if isinstance(error, DistrustError):
        return _distrusted(error, host, settings)
    for mark, (what, next_step) in _ALERTS.items():
        if mark in _reason(error):
            return TransportError(f"TLS with {host} failed: {what}", next_step)
    return TransportError(
        f"TLS with {host} failed ({_reason(error)})",
        "check that the port is the API server's and that nothing in between answers for it",
    )


_ALERTS = {
    "wrong version number": (
        "what answers there speaks no TLS",
        "check scheme and port of the server, and the proxy",
    ),
    "http request": ("it expects plain HTTP", "check the scheme of the server"),
    "certificate required": (
        "it wants a client certificate",
        "give the kubeconfig's user one, or a token",
    ),
    "certificate expired": (
        "it says that the client certificate has expired",
        "renew the kubeconfig's client certificate",
    ),
    "unknown ca": (
        "it does not trust the client certificate",
        "take a kubeconfig that belongs to this cluster",
    ),
    "bad certificate": (
        "it refuses the client certificate",
        "take a kubeconfig that belongs to this cluster",
    ),
}


def _distrusted(error: DistrustError, host: str, settings: TlsSettings) -> TransportError:
    said = error.verify_message.rstrip(".")
    if "expired" in said:
        step = "renew the server's certificate, or set this machine's clock right"
    elif "not yet valid" in said:
        step = "set this machine's clock right"
    elif "mismatch" in said or "not valid for" in said:
        step = "use a name that the certificate has: tls-server-name, or --tls-server-name"
    else:
        origin = settings.ca_origin or "the system's certificate authorities"
        step = f"it is checked against {origin}: take the one that signed the server's certificate"
    return TransportError(f"the certificate of {host} is not trusted: {said.lower()}", step)
