"""Kubeconfigs for the lab's users, mode 0600, with every certificate inside."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.tokens import (
    FORBIDDEN_USER,
    READER_USER,
    TOKEN_ADMIN_USER,
    read_tokens,
)
from kubelag.lab.private_files import write_private

if TYPE_CHECKING:
    from kubelag.lab.control_plane.handle import ControlPlane

User = Literal["certificate", "token", "reader", "forbidden", "anonymous"]

EXEC_API_VERSION = "client.authentication.k8s.io/v1beta1"
"""The only version that every kubectl from 1.11 on knows; `v1` came with 1.22."""


def check_user(user: str) -> None:
    """Refuse a user that the lab has not.

    Raises:
        LabError: It has no such user.
    """
    if user not in get_args(User):
        raise LabError(f"The lab has no user {user}", f"choose from {', '.join(get_args(User))}")


def kubeconfig_path(directory: Path, user: str) -> Path:
    """Where the kubeconfig of one user is."""
    return directory / f"kubeconfig-{user}.yaml"


def credential_path(directory: Path) -> Path:
    """Where the answer of a credential plugin lies ready, with the administrator's token."""
    return directory / "exec-credential.json"


def write_kubeconfigs(directory: Path, url: str) -> None:
    """Write the kubeconfig of every user, and the credential for plugins."""
    for user in get_args(User):
        write_kubeconfig(kubeconfig_path(directory, user), directory, url, user)
    credential = {
        "apiVersion": EXEC_API_VERSION,
        "kind": "ExecCredential",
        "status": {"token": _token(directory, TOKEN_ADMIN_USER)},
    }
    write_private(credential_path(directory), json.dumps(credential))


def write_kubeconfig(path: Path, directory: Path, url: str, user: User) -> Path:
    """Write one kubeconfig.

    Args:
        path: Where.
        directory: Of the control plane, with its certificates and tokens.
        url: The server.
        user: One of the lab's users.

    Raises:
        LabError: The lab has no such user.
    """
    check_user(user)
    return _write(path, directory, url, user, _credentials(directory, user))


def exec_kubeconfig(control_plane: "ControlPlane", plugin_argv: Sequence[str]) -> Path:
    """A kubeconfig whose user gets the token from a credential plugin.

    Args:
        control_plane: The server to talk to.
        plugin_argv: The plugin; `cat <control_plane.exec_credential>` is the quickest one.

    Raises:
        LabError: The plugin has no command.
    """
    if not plugin_argv:
        raise LabError("A credential plugin needs a command", "give its program and arguments")
    plugin = {
        "apiVersion": EXEC_API_VERSION,
        "command": plugin_argv[0],
        "args": list(plugin_argv[1:]),
        "env": None,
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }
    directory = control_plane.directory
    path = kubeconfig_path(directory, "exec")
    return _write(path, directory, control_plane.url, "exec", {"exec": plugin})


def _credentials(directory: Path, user: User) -> Mapping[str, Any]:
    certificates = Certificates.below(directory)
    match user:
        case "certificate":
            return {
                "client-certificate-data": _base64(certificates.client_certificate),
                "client-key-data": _base64(certificates.client_key),
            }
        case "token":
            return {"token": _token(directory, TOKEN_ADMIN_USER)}
        case "reader":
            return {"token": _token(directory, READER_USER)}
        case "forbidden":
            return {"token": _token(directory, FORBIDDEN_USER)}
        case "anonymous":
            # without any credential kubectl asks the terminal for some; servers from 1.19 on
            # know no passwords, and take whoever shows one as anonymous
            return {"username": "nobody", "password": "nothing"}


def _token(directory: Path, user: str) -> str:
    return next(item.token for item in read_tokens(directory) if item.user == user)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(
    path: Path, directory: Path, url: str, user: str, credentials: Mapping[str, Any]
) -> Path:
    cluster = {
        "server": url,
        "certificate-authority-data": _base64(Certificates.below(directory).ca),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": dict(credentials)}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "current-context": "lab",
    }
    text = yaml.safe_dump(config, sort_keys=False)
    return write_private(path, text)
