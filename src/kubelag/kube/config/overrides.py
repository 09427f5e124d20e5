"""What flags, or a program that uses the library, put in the place of what a kubeconfig says."""

from kubelag.kube.record import Record, hidden
from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.command import CommandLine

NO_SECRET = Secret("")


class Overrides(Record):
    """What is left empty is the kubeconfig's; paths start from the working directory."""

    kubeconfig: str = ""
    """The one file to read; otherwise KUBECONFIG and the default are looked at."""
    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    server: str = ""
    tls_server_name: str = ""
    certificate_authority: str = ""
    insecure_skip_tls_verify: bool = False
    disable_compression: bool = False
    token: Secret[str] = hidden(default=NO_SECRET)
    client_certificate: str = ""
    client_key: str = ""
    username: str = ""
    password: Secret[str] = hidden(default=NO_SECRET)
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    as_user_extra: tuple[tuple[str, str], ...] = ()
    """Keys and values; a key may come several times."""


def overrides_of(command: "CommandLine") -> Overrides:
    """The overrides of a kubectl command line."""
    texts = {name: command.value(name.replace("_", "-")) or "" for name in _TEXTS}
    return Overrides(
        **texts,
        insecure_skip_tls_verify=command.has("insecure-skip-tls-verify"),
        disable_compression=command.has("disable-compression"),
        token=Secret(command.value("token") or ""),
        password=Secret(command.value("password") or ""),
        as_user=command.value("as") or "",
        as_groups=_all(command, "as-group"),
        as_user_extra=tuple(
            (key, value)
            for key, equals, value in (
                pair.partition("=") for pair in _all(command, "as-user-extra")
            )
            if equals
        ),
    )


_TEXTS = (
    *("kubeconfig", "context", "cluster", "user", "namespace", "server", "tls_server_name"),
    *("certificate_authority", "client_certificate", "client_key", "username", "as_uid"),
)


def _all(command: "CommandLine", name: str) -> tuple[str, ...]:
    return tuple(flag.value for flag in command.flags if flag.name == name and flag.value)
