"""Header fields, as both versions of HTTP have them (RFC 9110 section 5)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.transport.messages import Request

    Field = tuple[str, str]

_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)
"""Fields of the connection and not of the message (RFC 9110 section 7.6.1)."""
_PROTOCOLS_OWN = HOP_BY_HOP | {"host", "content-length"}
_NO_BODY_EXPECTED = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_BODILESS = (204, 304)
_LENGTH_DIGITS = 18


class MalformedError(Exception):
    """A message is not well-formed; says why in a clause."""


def request_fields(request: "Request") -> "list[Field]":
    """What goes over the wire besides the target, the host and the connection's own.

    Raises:
        ValueError: If the request holds what no header or target may, such as a line break. The
            value is not told, since it may be a credential.
    """
    target = request.target
    is_path = target[:1] == "/" or target[:7] == "http://"  # whole for a proxy that forwards
    if not (is_path and target.isascii() and target.isprintable()) or " " in target:
        raise ValueError("the target of a request must be a path, percent-encoded")
    if not is_token(request.method):
        raise ValueError("the method of a request must be a word")
    fields: list[Field] = []
    for name, value in request.headers:
        if not is_token(name) or not are_values([value]) or not _is_text(value):
            raise ValueError(f"the request's header {name!r} holds what no header may")
        if (lower := name.lower()) not in _PROTOCOLS_OWN:
            fields.append((lower, value))
    if request.body or request.method not in _NO_BODY_EXPECTED:
        fields.append(("content-length", str(len(request.body))))
    return fields


def is_token(text: str) -> bool:
    """Whether it can name a field (section 5.6.2)."""
    return text != "" and not text.encode(errors="replace").translate(None, _TOKEN)


def _is_text(value: str) -> bool:
    """Whether it can be encoded; what came from bytes that are no UTF-8 cannot."""
    return value.isascii() or "?" not in value.replace("?", "").encode(errors="replace").decode()


def are_values(values: "list[str]") -> bool:
    """Whether each can stand in a field (section 5.5): neither line breaks nor NUL."""
    joined = "\n".join(values)
    return joined.count("\n") < max(len(values), 1) and "\r" not in joined and "\0" not in joined


def gather(fields: "list[Field]") -> "dict[str, str]":
    """Each name once; the values of a repeated one joined in their order (section 5.3)."""
    headers = dict(fields)
    if len(headers) == len(fields):
        return headers
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    return {name: ", ".join(several) for name, several in values.items()}


def content_length(headers: "dict[str, str]") -> int | None:
    """How many bytes are announced; None where nothing says so.

    Raises:
        MalformedError: If it is no number, or several that differ (section 8.6).
    """
    announced = headers.get("content-length")
    if announced is None:
        return None
    text, *others = {part.strip(" \t") for part in announced.split(",")}
    if others or not is_digits(text) or len(text) > _LENGTH_DIGITS:
        raise MalformedError(f"the server sent a length that is no number, {announced[:40]!r}")
    return int(text)


def is_digits(text: str) -> bool:
    """Whether it is a number in the digits of ASCII."""
    return text.isascii() and text.isdigit()


def has_no_body(method: str, status: int) -> bool:
    """Whether an answer ends with its head, whatever that announces (section 6.4.1)."""
    return method == "HEAD" or status in _BODILESS
