"""Finds out what kubectl would take from its kubeconfig files, flags and environment.

Rules from client-go `tools/clientcmd` (`loader.go`, `client_config.go`, `overrides.go`), checked
against real `kubectl` of 1.20, 1.27 and 1.33:

- `--kubeconfig` names one file, which must exist. Otherwise `KUBECONFIG` is a list with `:`,
  where missing files are passed over. Otherwise it is `$HOME/.kube/config`.
- The first file that has an entry of a name wins, as a whole; the first current-context wins.
- `--context`, `--cluster`, `--user`, `--server`, `--token` and the like override what was chosen.
- Of a user with both, `tokenFile` comes before `token`. A token that was given as a flag comes
  before both here; kubectl up to 1.33 goes on with the file.
- With no kubeconfig at all inside a pod, the service account is used.
"""

import os

from kubelag.errors import KubeconfigError
from kubelag.kube.config.kubeconfig_file import ConfigFile, read_config_file
from kubelag.kube.config.overrides import NO_SECRET, Overrides, overrides_of
from kubelag.kube.record import Record, hidden
from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal

    from kubelag.kube.config.kubeconfig_file import Entry

    AuthKind = Literal[
        "exec", "token", "token_file", "certificate", "auth_provider", "basic", "none"
    ]

DEFAULT_SERVER = "http://localhost:8080"
"""What kubectl talks to where nothing names a server."""

_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


class ExecSpec(Record):
    """How a user's exec plugin is run."""

    command: str
    """A bare name for PATH, or an absolute path."""
    args: Secret[tuple[str, ...]]
    """Plugins take client secrets here."""
    env: Secret[tuple[tuple[str, str], ...]]
    """Set in addition to kubectl's own environment."""
    api_version: str = ""
    interactive_mode: str = ""
    """`Never`, `IfAvailable`, `Always`, or empty."""
    provide_cluster_info: bool = False
    install_hint: str = ""
    """What the kubeconfig says to somebody who lacks the program."""


class Cluster(Record):
    """The cluster that kubectl would talk to."""

    name: str = ""
    server: str = DEFAULT_SERVER
    """As the config spells it; the cache directory's name comes from it."""
    proxy_url: str = hidden(default="")
    tls_server_name: str = ""
    ca_file: str = ""
    ca_data: str = hidden(default="")
    """Base64 of PEM; comes before the file."""
    insecure_skip_tls_verify: bool = False
    disable_compression: bool = False
    exec_config: object = hidden(default=None)
    """What the cluster has for exec plugins, handed on where they ask for cluster information."""

    @property
    def has_ca(self) -> bool:
        """Whether the config brings a certificate authority of its own."""
        return bool(self.ca_file or self.ca_data)


class User(Record):
    """Whom kubectl would be."""

    name: str = ""
    auth: "AuthKind" = "none"
    """What it would really use: a token on the command line keeps the plugin from running."""
    exec: ExecSpec | None = None
    """The plugin, also where `auth` says that something else comes first."""
    token: Secret[str] = hidden(default=NO_SECRET)
    token_file: str = ""
    """Comes before the token, which stands in while the file cannot be read."""
    certificate_file: str = ""
    certificate_data: str = hidden(default="")
    """Base64 of PEM; comes before the file, as the key's does."""
    key_file: str = ""
    key_data: Secret[str] = hidden(default=NO_SECRET)
    username: str = ""
    password: Secret[str] = hidden(default=NO_SECRET)
    auth_provider: str = ""
    """Name of a provider of the kind that went before exec plugins."""
    as_user: str = ""
    """Whom to impersonate."""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    as_extra: tuple[tuple[str, str], ...] = ()
    """Keys and values; a key may come several times."""


class Kubeconfig(Record):
    """What kubectl would use for one command."""

    files: tuple[str, ...] = ()
    """The files that were read, in the order of their precedence."""
    missing: tuple[str, ...] = ()
    """Files that are named and do not exist; kubectl passes over them."""
    context: str = ""
    cluster: Cluster = Cluster()
    user: User = User()
    namespace: str = "default"
    entries: "Secret[tuple[Entry, Entry]]" = hidden(default=Secret(({}, {})))
    """The chosen context and cluster as the files have them."""

    @property
    def exec_spec(self) -> ExecSpec | None:
        """The plugin that kubectl would really run, None where it would run none."""
        return self.user.exec if self.user.auth == "exec" else None


def load_kubeconfig(
    argv: "Sequence[str]",
    env: "Mapping[str, str]",
    *,
    working_directory: str | None = None,
    service_account: str = "",
) -> Kubeconfig:
    """What kubectl would use for this command line in this environment.

    Raises:
        KubeconfigError: As `choose_kubeconfig`.
    """
    from kubelag.kube.command import parse_command  # noqa: PLC0415 -- our own commands need it not

    return choose_kubeconfig(
        overrides_of(parse_command(argv)),
        env,
        working_directory=working_directory,
        service_account=service_account,
    )


def choose_kubeconfig(
    overrides: Overrides,
    env: "Mapping[str, str]",
    *,
    working_directory: str | None = None,
    service_account: str = "",
) -> Kubeconfig:
    """What kubectl would use with these overrides in this environment.

    Args:
        overrides: What comes before the files.
        env: Where KUBECONFIG, HOME and a pod's variables are looked for.
        working_directory: What relative paths in overrides and environment start from; the
            process's where None.
        service_account: Where a pod finds its own; empty for the usual place.

    Raises:
        KubeconfigError: If a file that must exist is missing, a file cannot be read or is
            malformed, or a name points at a context, cluster or user that no file has.
    """
    overrides = _from_directory(overrides, working_directory)
    files, missing, merged = _load(overrides, env, working_directory)
    name = overrides.context or merged.current_context
    entries = _entries(overrides, merged, name, files)
    if not (merged.clusters or merged.users or merged.contexts or overrides.server):
        from kubelag.kube.config.in_cluster import in_cluster_entries  # noqa: PLC0415 -- in pods only

        entries = in_cluster_entries(env, service_account) or entries
    context, cluster, user = entries
    default_server = env.get("KUBERNETES_MASTER") or DEFAULT_SERVER
    return Kubeconfig(
        files=files,
        missing=missing,
        context=name,
        cluster=_cluster(_name("cluster", overrides, context), cluster, overrides, default_server),
        user=_user(_name("user", overrides, context), user, overrides),
        namespace=_name("namespace", overrides, context) or "default",
        entries=Secret((context, cluster)),
    )


def merge(files: "Iterable[ConfigFile]") -> ConfigFile:
    """First wins: whole entries by name, and the first current-context that is set."""
    merged = ConfigFile()
    for file in files:
        merged = ConfigFile(
            clusters={**file.clusters, **merged.clusters},
            users={**file.users, **merged.users},
            contexts={**file.contexts, **merged.contexts},
            current_context=merged.current_context or file.current_context,
        )
    return merged


def _from_directory(overrides: Overrides, working_directory: str | None) -> Overrides:
    """The overrides with absolute paths."""
    names = ("kubeconfig", "certificate_authority", "client_certificate", "client_key")
    given = {name: getattr(overrides, name) for name in names}
    absolute = {name: _absolute(path, working_directory) for name, path in given.items() if path}
    return overrides.but(**absolute) if absolute else overrides


def _absolute(path: str, working_directory: str | None) -> str:
    if path.startswith("/"):
        return path
    try:
        return os.path.join(working_directory or os.getcwd(), path)  # noqa: PTH109,PTH118 -- kept as text
    except FileNotFoundError as error:
        raise KubeconfigError(
            f"{path} is a relative path, and the working directory is gone",
            "go to a directory that exists, or give an absolute path",
        ) from error


def _load(
    overrides: Overrides, env: "Mapping[str, str]", working_directory: str | None
) -> tuple[tuple[str, ...], tuple[str, ...], ConfigFile]:
    read: dict[str, ConfigFile] = {}
    missing: list[str] = []
    for path in _paths(overrides, env, working_directory):
        try:
            read[path] = read_config_file(path)
        except FileNotFoundError:
            missing.append(path)
    if missing and not read:
        _refuse_missing(overrides, env, missing)
    return tuple(read), tuple(missing), merge(read.values())


def _paths(
    overrides: Overrides, env: "Mapping[str, str]", working_directory: str | None
) -> tuple[str, ...]:
    """The files to read, in the order of their precedence."""
    if overrides.kubeconfig:
        return (overrides.kubeconfig,)
    listed = [name for name in env.get("KUBECONFIG", "").split(":") if name]
    if not listed:
        listed = [os.path.join(env.get("HOME", ""), ".kube/config")]  # noqa: PTH118 -- kept as text
    return tuple(dict.fromkeys(_absolute(name, working_directory) for name in listed))


def _refuse_missing(overrides: Overrides, env: "Mapping[str, str]", missing: list[str]) -> None:
    """The default file may be missing; one that somebody named may not."""
    if overrides.kubeconfig:
        origin = "--kubeconfig"
    elif env.get("KUBECONFIG"):
        origin = "KUBECONFIG"
    else:
        return
    raise KubeconfigError(
        f"{origin} names {', '.join(missing)}, which does not exist",
        f"correct {origin}, or leave it out to use ~/.kube/config",
    )


def _entries(
    overrides: Overrides, merged: ConfigFile, name: str, files: "Sequence[str]"
) -> "tuple[Entry, Entry, Entry]":
    """Context, cluster and user as the files have them."""
    origin = "--context" if overrides.context else "current-context"
    context = _entry(merged.contexts, name, "context", origin, files)
    cluster = _name("cluster", overrides, context)
    user = _name("user", overrides, context)
    return (
        context,
        _entry(merged.clusters, cluster, "cluster", f"context {name!r}", files),
        _entry(merged.users, user, "user", f"context {name!r}", files),
    )


def _name(kind: str, overrides: Overrides, context: "Entry") -> str:
    return getattr(overrides, kind) or context.get(kind) or ""


def _entry(
    entries: "Mapping[str, Entry]", name: str, kind: str, origin: str, files: "Sequence[str]"
) -> "Entry":
    if not name:
        return {}
    if name not in entries:
        known = ", ".join(sorted(entries)[:5]) or "none"
        where = ", ".join(files) or "the kubeconfig"
        raise KubeconfigError(
            f"{origin} names the {kind} {name!r}, which {where} does not have",
            f"use one that exists ({kind}s: {known})",
        )
    return entries[name]


def _cluster(name: str, entry: "Entry", given: Overrides, default_server: str) -> Cluster:
    """A server of one's own takes the config's TLS name away, an authority its other trust."""
    is_trust_given = given.certificate_authority or given.insecure_skip_tls_verify
    trust: Entry = {} if is_trust_given else entry
    is_name_given = given.tls_server_name or given.server
    return Cluster(
        name=name,
        server=given.server or entry.get("server") or default_server,
        proxy_url=entry.get("proxy-url") or "",
        tls_server_name=given.tls_server_name
        if is_name_given
        else entry.get("tls-server-name") or "",
        ca_file=given.certificate_authority or trust.get("certificate-authority") or "",
        ca_data=trust.get("certificate-authority-data") or "",
        insecure_skip_tls_verify=given.insecure_skip_tls_verify
        or trust.get("insecure-skip-tls-verify") is True,
        disable_compression=given.disable_compression or entry.get("disable-compression") is True,
        exec_config=_exec_config(entry),
    )


def _exec_config(entry: "Entry") -> object:
    extensions = entry.get("extensions")
    for item in extensions if isinstance(extensions, list) else ():
        if isinstance(item, dict) and item.get("name") == _EXEC_EXTENSION:
            return item.get("extension")
    return None


def _user(name: str, entry: "Entry", given: Overrides) -> User:
    """What is given takes the place of both forms that a kubeconfig has for it: file and data."""
    certificate: Entry = {} if given.client_certificate else entry
    key: Entry = {} if given.client_key else entry
    user = User(
        name=name,
        exec=_exec_spec(entry.get("exec")),
        token=given.token or Secret(entry.get("token") or ""),
        token_file="" if given.token else entry.get("tokenFile") or "",
        certificate_file=given.client_certificate or certificate.get("client-certificate") or "",
        certificate_data=certificate.get("client-certificate-data") or "",
        key_file=given.client_key or key.get("client-key") or "",
        key_data=Secret(key.get("client-key-data") or ""),
        username=given.username or entry.get("username") or "",
        password=given.password or Secret(entry.get("password") or ""),
        auth_provider=_provider(entry.get("auth-provider")),
        as_user=given.as_user or entry.get("as") or "",
        as_groups=given.as_groups or tuple(entry.get("as-groups") or ()),
        as_uid=given.as_uid or entry.get("as-uid") or "",
        as_extra=_extra(entry, given),
    )
    return user.but(auth=_auth_kind(user))


def _provider(entry: object) -> str:
    return str(entry.get("name") or "without a name") if isinstance(entry, dict) and entry else ""


def _extra(entry: "Entry", given: Overrides) -> tuple[tuple[str, str], ...]:
    """A key that is given takes the place of the config's values of it."""
    extra = entry.get("as-user-extra") or {}
    replaced = {key for key, _ in given.as_user_extra}
    kept = ((key, value) for key in extra if key not in replaced for value in extra[key] or ())
    return (*kept, *given.as_user_extra)


def _auth_kind(user: User) -> "AuthKind":
    """Static credentials keep a plugin from running (`UpdateTransportConfig` in `exec.go`)."""
    kinds: tuple[tuple[AuthKind, object], ...] = (
        ("token_file", user.token_file),
        ("token", user.token),
        ("basic", user.username),
        ("certificate", user.certificate_file or user.certificate_data),
        ("exec", user.exec),
        ("auth_provider", user.auth_provider),
    )
    return next((kind for kind, value in kinds if value), "none")


def _exec_spec(entry: "Entry | None") -> ExecSpec | None:
    if not entry:
        return None
    return ExecSpec(
        command=entry["command"],
        args=Secret(tuple(entry["args"])),
        env=Secret(tuple((pair["name"], pair.get("value") or "") for pair in entry["env"])),
        api_version=entry.get("apiVersion") or "",
        interactive_mode=entry.get("interactiveMode") or "",
        provide_cluster_info=entry.get("provideClusterInfo") is True,
        install_hint=entry.get("installHint") or "",
    )
