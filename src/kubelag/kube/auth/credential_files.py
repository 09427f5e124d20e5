"""Reads tokens, certificates and keys, and names the field or file of what is wrong with them."""

from kubelag.errors import CredentialError
from kubelag.kube.record import Record, hidden
from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# As often as client-go looks (`NewCachedFileTokenSource`); kubelets rotate tokens far slower.
REREAD_AFTER_S = 60.0
# Far more than any token or chain of certificates; arbitrary.
_LARGEST_BYTES = 1024 * 1024


class ClientCertificate(Record):
    """What a client shows of itself in the TLS handshake."""

    certificate_pem: bytes = hidden(default=b"")
    """The certificate, and any that lead to the authority."""
    key_pem: Secret[bytes] = hidden(default=Secret(b""))
    origin: str = ""
    """Where both come from, for messages."""


class RereadFile:
    """A small file that may be rotated: read again every minute, the last good content kept.

    Args:
        path: Where it is; empty where there is none, and then this is false.
        what: How messages call it: `the token file of user 'jane'`.
        clock: Seconds; it may jump.
    """

    def __init__(self, path: str, what: str, clock: "Callable[[], float]") -> None:
        self.path, self._what, self._clock = path, what, clock
        self._content: bytes | None = None
        self._read_at_s = 0.0

    def __bool__(self) -> bool:
        return bool(self.path)

    def __str__(self) -> str:
        return f"{self._what} ({self.path})"

    def content(self) -> bytes:
        """What it holds, without white space around it; never empty.

        Raises:
            CredentialError: If it never could be read.
        """
        if self._content is None or abs(self._clock() - self._read_at_s) >= REREAD_AFTER_S:
            return self._reread()
        return self._content

    def is_changed(self) -> bool:
        """Read it now; whether it holds something else than before."""
        before = self._content
        try:
            return self._reread() != before
        except CredentialError:
            return False

    def state(self) -> bytes | None:
        """What it held when last read."""
        return self._content

    def _reread(self) -> bytes:
        self._read_at_s = self._clock()
        try:
            self._content = self._read()
        except CredentialError:
            # While it is exchanged it may be gone for a moment.
            if self._content is None:
                raise
        return self._content

    def _read(self) -> bytes:
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123 -- the path is text throughout
                content = file.read(_LARGEST_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise CredentialError(
                f"{self} cannot be read: {why.lower()}", "check its path and mode"
            ) from error
        if len(content) > _LARGEST_BYTES:
            raise CredentialError(f"{self} is too large for what it should be", "check its path")
        if not content.strip():
            raise CredentialError(f"{self} is empty", "log in again, or check its path")
        return content.strip()


class PemSource:
    """A certificate or key, as base64 in the kubeconfig or in a file; the former comes first.

    Args:
        data: Base64; empty where there is none.
        file: The file; false where there is none.
        field: How messages call the data: `client-key-data of user 'jane'`.
    """

    def __init__(self, *, data: Secret[str], file: RereadFile, field: str) -> None:
        self.file = RereadFile("", "", lambda: 0.0) if data else file
        self._data, self._field = data, field

    def __bool__(self) -> bool:
        return bool(self._data or self.file)

    def pem(self) -> bytes:
        """The PEM.

        Raises:
            CredentialError: If it cannot be had, or is none.
        """
        origin = self._field if self._data else str(self.file)
        found = from_base64(self._data, origin) if self._data else self.file.content()
        if b"-----BEGIN " not in found:
            raise CredentialError(f"{origin} holds no PEM", "it must begin with -----BEGIN")
        return found.strip() + b"\n"


def from_base64(data: Secret[str], field: str) -> bytes:
    """Decode a field of the kubeconfig.

    Raises:
        CredentialError: If it is no base64, naming the field.
    """
    from binascii import a2b_base64  # noqa: PLC0415 -- not every user has a certificate

    try:
        return a2b_base64("".join(data.reveal().split()).encode("ascii"), strict_mode=True)
    except ValueError:
        # Without its cause, whose text or traceback might show the key.
        raise CredentialError(
            f"{field} is no base64", "take the kubeconfig anew from where it came"
        ) from None


def checked_token(token: str, origin: str) -> str:
    """The token without white space around it.

    Raises:
        CredentialError: If it cannot stand in a header; it is not shown.
    """
    token = token.strip()
    if token and token.isascii() and token.isprintable():
        return token
    raise CredentialError(
        f"the token of {origin} {'holds characters that no token has' if token else 'is empty'}",
        "log in again, or look at where it comes from",
    )
