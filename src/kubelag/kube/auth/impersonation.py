"""The headers that ask the server to take us for somebody else; needs the right to do so."""

from kubelag.errors import KubeconfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.config.kubeconfig import User

# What stands in a header's name as it is: RFC 9110 §5.6.2, less the escape sign.
_UNESCAPED = frozenset(b"!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


def impersonation_headers(user: "User") -> "tuple[tuple[str, str], ...]":
    """Whom to act as; keys of extra fields escaped as client-go's `headerKeyEscape` does.

    Raises:
        KubeconfigError: If a name cannot stand in a header.
    """
    if not user.as_user:
        return ()
    said = [("impersonate-user", user.as_user)]
    said += [("impersonate-group", group) for group in user.as_groups]
    said += [("impersonate-uid", user.as_uid)] if user.as_uid else []
    said += [(f"impersonate-extra-{_escaped(key)}", value) for key, value in user.as_extra]
    for name, value in said:
        if any(one < " " or one == "\x7f" or "\ud800" <= one <= "\udfff" for one in value):
            raise KubeconfigError(
                f"user {user.name!r} is to act as somebody whose {name} cannot stand in a header",
                "correct as, as-groups, as-uid and as-user-extra",
            )
    return tuple(said)


def _escaped(key: str) -> str:
    raw = key.lower().encode(errors="replace")
    return "".join(chr(byte) if byte in _UNESCAPED else f"%{byte:02x}" for byte in raw)
