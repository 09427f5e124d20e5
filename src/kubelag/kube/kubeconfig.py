"""Finds out what kubectl would take from its kubeconfig files, flags and environment.

Rules from client-go `tools/clientcmd` (`loader.go`, `client_config.go`, `overrides.go`), checked
against real `kubectl config view` of 1.20 and 1.33:

- `--kubeconfig` names one file, which must exist. Otherwise `KUBECONFIG` is a list with `:`,
  where missing files are passed over. Otherwise it is `$HOME/.kube/config`.
- The first file that has an entry of a name wins, as a whole; the first current-context wins.
- `--context`, `--cluster`, `--user`, `--server`, `--token` and the like override what was chosen.
- With no kubeconfig at all inside a pod, the service account is used.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kubelag.errors import KubeconfigError
from kubelag.kube.command import CommandLine, parse_command
from kubelag.kube.kubeconfig_file import ConfigFile, Entry, read_config_file
from kubelag.kube.secret import Secret

AuthKind = Literal["exec", "token", "token_file", "certificate", "auth_provider", "basic", "none"]
DEFAULT_SERVER = "http://localhost:8080"
"""What kubectl talks to where nothing names a server."""

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_EXEC_EXTENSION = "client.authentication.k8s.io/exec"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecSpec:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster that kubectl would talk to."""

    name: str = ""
    server: str = DEFAULT_SERVER
    """As the config spells it; the cache directory's name comes from it."""
    proxy_url: str = field(default="", repr=False)
    tls_server_name: str = ""
    ca_file: str = ""
    ca_data: str = field(default="", repr=False)
    insecure_skip_tls_verify: bool = False
    exec_config: object = field(default=None, repr=False)
    """What the cluster has for exec plugins, handed on where they ask for cluster information."""

    @property
    def has_ca(self) -> bool:
        """Whether the config brings a certificate authority of its own."""
        return bool(self.ca_file or self.ca_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom kubectl would be."""

    name: str = ""
    auth: AuthKind = "none"
    """What it would really use: a token on the command line keeps the plugin from running."""
    exec: ExecSpec | None = None
    """The plugin, also where `auth` says that something else comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """What kubectl would use for one command."""

    files: tuple[str, ...] = ()
    """The files that were read, in the order of their precedence."""
    missing: tuple[str, ...] = ()
    """Files that are named and do not exist; kubectl passes over them."""
    context: str = ""
    cluster: Cluster = field(default_factory=Cluster)
    user: User = field(default_factory=User)
    namespace: str = "default"
    entries: Secret[tuple[Entry, Entry]] = field(default_factory=lambda: Secret(({}, {})))
    """The chosen context and cluster as the files have them."""

    @property
    def exec_spec(self) -> ExecSpec | None:
        """The plugin that kubectl would really run, None where it would run none."""
        return self.user.exec if self.user.auth == "exec" else None


def load_kubeconfig(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    working_directory: str | None = None,
    service_account: str = SERVICE_ACCOUNT,
) -> Kubeconfig:
    """What kubectl would use for this command line in this environment.

    Raises:
        KubeconfigError: If a file that must exist is missing, a file cannot be read or is
            malformed, or a name points at a context, cluster or user that no file has.
    """
    command = parse_command(argv)
    files, missing, merged = _load(command, env, working_directory or os.getcwd())  # noqa: PTH109 -- text, not a Path
    chosen = _choose(command, merged, files)
    is_empty = not (merged.clusters or merged.users or merged.contexts)
    if is_empty and command.value("server") is None:
        return _in_cluster(env, service_account) or _with_files(chosen, files, missing)
    return _with_files(chosen, files, missing)


def kubeconfig_paths(
    argv: Sequence[str], env: Mapping[str, str], working_directory: str
) -> tuple[str, ...]:
    """The files that kubectl would read, in the order of their precedence."""
    flag = parse_command(argv).value("kubeconfig")
    if flag:
        return (os.path.join(working_directory, flag),)  # noqa: PTH118 -- kept as text
    listed = [name for name in env.get("KUBECONFIG", "").split(":") if name]
    if not listed:
        listed = [os.path.join(env.get("HOME", ""), ".kube/config")]  # noqa: PTH118 -- the same
    return tuple(dict.fromkeys(os.path.join(working_directory, name) for name in listed))  # noqa: PTH118 -- the same


def merge(files: Iterable[ConfigFile]) -> ConfigFile:
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


def static_token_kubeconfig(
    kubeconfig: Kubeconfig,
    token: Secret[str] | None,
    *,
    client_certificate: str = "",
    client_key: Secret[str] | None = None,
) -> bytes:
    """A kubeconfig of the current context alone, its credential replaced by this one.

    It is JSON, which is YAML too. It holds a secret in clear: hand it on in a memfd, never in a
    file. Names stay as they were, so that `--context` and the like still find them.

    Args:
        kubeconfig: What the command uses now.
        token: The bearer token, None where the plugin gave a certificate only.
        client_certificate: PEM, where the plugin gave one.
        client_key: PEM, where the plugin gave one.
    """
    import base64  # noqa: PLC0415 -- one experiment needs them, start-up does not
    import json  # noqa: PLC0415 -- the same

    context, cluster = kubeconfig.entries.reveal()
    user: dict[str, str] = {}
    if token is not None:
        user["token"] = token.reveal()
    if client_certificate and client_key is not None:
        user["client-certificate-data"] = base64.b64encode(client_certificate.encode()).decode()
        user["client-key-data"] = base64.b64encode(client_key.reveal().encode()).decode()
    names = {"cluster": kubeconfig.cluster.name, "user": kubeconfig.user.name}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": kubeconfig.cluster.name, "cluster": cluster}],
        "users": [{"name": kubeconfig.user.name, "user": user}],
        "contexts": [{"name": kubeconfig.context, "context": {**context, **names}}],
        "current-context": kubeconfig.context,
    }
    return json.dumps(document, default=str).encode()


def _load(
    command: CommandLine, env: Mapping[str, str], working_directory: str
) -> tuple[tuple[str, ...], tuple[str, ...], ConfigFile]:
    read: dict[str, ConfigFile] = {}
    missing: list[str] = []
    for path in kubeconfig_paths(command.argv, env, working_directory):
        try:
            read[path] = read_config_file(path)
        except FileNotFoundError:
            missing.append(path)
    if missing and not read:
        _refuse_missing(command, env, missing)
    return tuple(read), tuple(missing), merge(read.values())


def _refuse_missing(command: CommandLine, env: Mapping[str, str], missing: list[str]) -> None:
    """The default file may be missing; one that somebody named may not."""
    if command.value("kubeconfig"):
        origin = "--kubeconfig"
    elif env.get("KUBECONFIG"):
        origin = "KUBECONFIG"
    else:
        return
    raise KubeconfigError(
        f"{origin} names {', '.join(missing)}, which does not exist",
        f"correct {origin}, or leave it out to use ~/.kube/config",
    )


def _choose(command: CommandLine, merged: ConfigFile, files: Sequence[str]) -> Kubeconfig:
    name = command.value("context") or merged.current_context
    origin = "--context" if command.value("context") else "current-context"
    context = _named(merged.contexts, name, "context", origin, files)
    cluster_name = command.value("cluster") or context.get("cluster") or ""
    user_name = command.value("user") or context.get("user") or ""
    cluster = _named(merged.clusters, cluster_name, "cluster", f"context {name!r}", files)
    user = _named(merged.users, user_name, "user", f"context {name!r}", files)
    return Kubeconfig(
        context=name,
        cluster=_cluster(cluster_name, cluster, command),
        user=_user(user_name, user, command),
        namespace=command.value("namespace") or context.get("namespace") or "default",
        entries=Secret((context, cluster)),
    )


def _named(
    entries: Mapping[str, Entry], name: str, kind: str, origin: str, files: Sequence[str]
) -> Entry:
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


def _cluster(name: str, entry: Entry, command: CommandLine) -> Cluster:
    return Cluster(
        name=name,
        server=command.value("server") or entry.get("server") or DEFAULT_SERVER,
        proxy_url=entry.get("proxy-url") or "",
        tls_server_name=command.value("tls-server-name") or entry.get("tls-server-name") or "",
        ca_file=command.value("certificate-authority") or entry.get("certificate-authority") or "",
        ca_data=entry.get("certificate-authority-data") or "",
        insecure_skip_tls_verify=command.has("insecure-skip-tls-verify")
        or entry.get("insecure-skip-tls-verify") is True,
        exec_config=_exec_config(entry),
    )


def _exec_config(entry: Entry) -> object:
    extensions = entry.get("extensions")
    for item in extensions if isinstance(extensions, list) else ():
        if isinstance(item, dict) and item.get("name") == _EXEC_EXTENSION:
            return item.get("extension")
    return None


def _user(name: str, entry: Entry, command: CommandLine) -> User:
    return User(name=name, auth=_auth_kind(entry, command), exec=_exec_spec(entry.get("exec")))


def _auth_kind(entry: Entry, command: CommandLine) -> AuthKind:
    """Static credentials keep a plugin from running (`UpdateTransportConfig` in `exec.go`)."""
    kinds: tuple[tuple[AuthKind, object], ...] = (
        ("token", command.value("token") or entry.get("token")),
        ("token_file", entry.get("tokenFile")),
        ("basic", command.value("username") or entry.get("username")),
        (
            "certificate",
            command.value("client-certificate")
            or entry.get("client-certificate")
            or entry.get("client-certificate-data"),
        ),
        ("exec", entry.get("exec")),
        ("auth_provider", entry.get("auth-provider")),
    )
    return next((kind for kind, value in kinds if value), "none")


def _exec_spec(entry: Entry | None) -> ExecSpec | None:
    if not entry:
        return None
    return ExecSpec(
        command=entry["command"],
        args=Secret(tuple(entry["args"])),
        env=Secret(tuple((pair["name"], pair.get("value", "")) for pair in entry["env"])),
        api_version=entry.get("apiVersion") or "",
        interactive_mode=entry.get("interactiveMode") or "",
        provide_cluster_info=entry.get("provideClusterInfo") is True,
    )


def _in_cluster(env: Mapping[str, str], service_account: str) -> Kubeconfig | None:
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    if not (host and port and Path(service_account, "token").is_file()):
        return None
    bracketed = f"[{host}]" if ":" in host else host
    server, ca = f"https://{bracketed}:{port}", f"{service_account}/ca.crt"
    return Kubeconfig(cluster=Cluster(server=server, ca_file=ca), user=User(auth="token_file"))


def _with_files(chosen: Kubeconfig, files: tuple[str, ...], missing: tuple[str, ...]) -> Kubeconfig:
    return replace(chosen, files=files, missing=missing)
