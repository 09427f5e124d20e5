"""The options that every command of the client has, named as kubectl names them."""

from kubelag.cli.flags import Option
from kubelag.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.cli.flags import Options
    from kubelag.kube.client import Client
    from kubelag.kube.config.overrides import Overrides
    from kubelag.kube.transport.events import Observer

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_AS_KUBECTL = "options as in kubectl"
_OWN = "options of kubelag's client"
# Name, metavar, help; the field of `Overrides` is the name with underscores.
_CONFIG = (
    ("kubeconfig", "FILE", "the kubeconfig (default: KUBECONFIG, else ~/.kube/config)"),
    ("context", "NAME", "context of the kubeconfig"),
    ("cluster", "NAME", "cluster of the kubeconfig"),
    ("user", "NAME", "user of the kubeconfig"),
    ("server", "URL", "address of the API server"),
    ("token", "TOKEN", "bearer token; visible to everybody who lists processes"),
    ("username", "NAME", "for basic authentication"),
    ("password", "TEXT", "for basic authentication; visible as --token is"),
    ("client-certificate", "FILE", "client certificate, PEM"),
    ("client-key", "FILE", "its key, PEM"),
    ("certificate-authority", "FILE", "who signed the server's certificate, PEM"),
    ("tls-server-name", "NAME", "the name that the server's certificate must have"),
    ("namespace", "NAME", "namespace"),
    ("as-uid", "UID", "act with this uid"),
)
_SHORT = {"server": ("-s",), "namespace": ("-n",)}

KUBE_OPTIONS = (
    *(
        Option(
            names=(*_SHORT.get(name, ()), f"--{name}"),
            metavar=metavar,
            help=text,
            group=_AS_KUBECTL,
            default="",
        )
        for name, metavar, text in _CONFIG
    ),
    Option(
        names=("--as",),
        field="as_user",
        metavar="NAME",
        help="act as this user",
        group=_AS_KUBECTL,
        default="",
    ),
    Option(
        names=("--as-group",),
        field="as_groups",
        kind="list",
        metavar="NAME",
        help="act as a member of this group; may be repeated",
        group=_AS_KUBECTL,
    ),
    Option(
        names=("--insecure-skip-tls-verify",),
        alone="true",
        choices=("true", "false"),
        default="false",
        help="trust any certificate",
        group=_AS_KUBECTL,
    ),
    Option(
        names=("--disable-compression",),
        alone="true",
        choices=("true", "false"),
        default="false",
        help="ask for answers that are not compressed",
        group=_AS_KUBECTL,
    ),
    Option(
        names=("--request-timeout",),
        default="0",
        metavar="TIME",
        help="for one request: 10s, 1m, 500ms; 0 for no limit (default)",
        group=_AS_KUBECTL,
    ),
    Option(
        names=("--cache-dir",),
        metavar="DIR",
        help="root of the cache (default: KUBECACHEDIR, else ~/.kube/cache)",
        group=_AS_KUBECTL,
    ),
    Option(
        names=("-v", "--v"),
        field="verbosity",
        kind="number",
        default=0,
        metavar="LEVEL",
        help="6: every request; 9: its phases too",
        group=_AS_KUBECTL,
    ),
    Option(
        names=("--cache-policy",),
        choices=("checksummed", "synced", "read-only", "memory"),
        default="checksummed",
        help="checksummed: verified, never synced (default); synced: as kubectl 1.24 and older, "
        "which waits for the disk; read-only: written nothing; memory: no cache on disk",
        group=_OWN,
    ),
    Option(
        names=("--timings",),
        kind="switch",
        help="tell on standard error where the time went",
        group=_OWN,
    ),
)


def overrides_of(args: "Options") -> "Overrides":
    """What the options say about the kubeconfig."""
    from kubelag.kube.config.overrides import Overrides  # noqa: PLC0415 -- `--help` needs none of it
    from kubelag.kube.secret import Secret  # noqa: PLC0415 -- the same

    names = [name.replace("-", "_") for name, *_ in _CONFIG]
    given = {name: getattr(args, name) for name in names}
    secrets = {name: Secret(given[name]) for name in ("token", "password")}
    return Overrides(
        **{**given, **secrets},
        as_user=args.as_user,
        as_groups=tuple(args.as_groups),
        insecure_skip_tls_verify=args.insecure_skip_tls_verify == "true",
        disable_compression=args.disable_compression == "true",
    )


def client_of(args: "Options", observe: "Observer | None" = None) -> "Client":
    """The client that the options ask for.

    Raises:
        KubeconfigError: If the kubeconfig is no use.
        UsageError: If a time is none.
    """
    from kubelag.kube.client import Client, Settings  # noqa: PLC0415 -- `--help` needs none of it

    settings = Settings(
        cache=args.cache_policy,
        cache_dir=args.cache_dir,
        timeout_s=duration_s(args.request_timeout, "--request-timeout"),
    )
    return Client(overrides_of(args), settings=settings, observe=observe)


def duration_s(text: str, option: str) -> float:
    """A time as kubectl takes it: `10s`, `1m30s`, `500ms`, or seconds without a unit.

    Raises:
        UsageError: If it is none.
    """
    try:
        return _not_negative(float(text))
    except ValueError:
        import re  # noqa: PLC0415 -- seldom written so

        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{option} {text!r} is no time", "write 10s, 1m30s, 500ms, or 0 for none")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _not_negative(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError
    return value
