"""Runs a kubeconfig user's exec plugin as kubectl would, and times it.

Protocol: client.authentication.k8s.io/v1 and v1beta1 (KEP-541). The plugin gets a JSON document
in KUBERNETES_EXEC_INFO and answers with an ExecCredential on its standard output. Imported only
where a plugin is to run: `subprocess` costs 5 ms, a plugin a hundred and more.
"""

import binascii
import json
import os
import re
import signal
import subprocess
import time

from kubelag.errors import CredentialError
from kubelag.kube.record import Record, hidden
from kubelag.kube.redact import redact_text
from kubelag.kube.secret import Secret
from kubelag.kube.shown import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kubelag.kube.config.kubeconfig import Cluster, ExecSpec

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
# Enough to recognise a plugin's complaint, and too little to drown a report in.
_STDERR_KEPT_CHARS = 300
_HINT_KEPT_CHARS = 500


class Credential(Record):
    """What an exec plugin handed out."""

    token: Secret[str] | None = hidden(default=None)
    client_certificate: str = ""
    """PEM; a certificate is public, its key is not."""
    client_key: Secret[str] | None = hidden(default=None)
    expiry: str | None = None
    """RFC 3339, as the plugin wrote it; None where it set no end."""
    expires_s: float | None = None
    """The same in seconds since the epoch."""
    took_ns: int
    """Wall time of the plugin."""


def run_exec_plugin(
    spec: "ExecSpec",
    cluster: "Cluster",
    timeout_s: float,
    *,
    env: "Mapping[str, str] | None" = None,
    clock_ns: "Callable[[], int]" = time.perf_counter_ns,
    stdin_is_terminal: bool = False,
) -> Credential:
    """Run the plugin once.

    Args:
        spec: What to run.
        cluster: Told to the plugin where it asks for it.
        timeout_s: After this the plugin and its children are killed; somebody at a terminal may
            take any time.
        env: kubectl's environment; this process's where None.
        clock_ns: A monotonic clock.
        stdin_is_terminal: Whether somebody sits there whom the plugin may ask.

    Raises:
        CredentialError: If the plugin cannot run, fails, takes too long, wants a terminal and has
            none, or answers with anything but a credential.
    """
    if spec.api_version not in API_VERSIONS:
        raise CredentialError(
            f"the exec plugin {spec.command} speaks {spec.api_version or 'no version'}",
            f"kubelag speaks {' and '.join(API_VERSIONS)}",
        )
    if spec.interactive_mode == "Always" and not stdin_is_terminal:
        raise CredentialError(
            f"the exec plugin {spec.command} always wants a terminal, and here is none",
            "run the command in one, or set interactiveMode to IfAvailable if it can do without",
        )
    is_interactive = stdin_is_terminal and spec.interactive_mode != "Never"
    environment = {**(os.environ if env is None else env), **dict(spec.env.reveal())}
    environment["KUBERNETES_EXEC_INFO"] = _exec_info(spec, cluster, is_interactive=is_interactive)
    began = clock_ns()
    output = _run(spec, environment, None if is_interactive else timeout_s)
    return _credential(output, spec, clock_ns() - began)


def _exec_info(spec: "ExecSpec", cluster: "Cluster", *, is_interactive: bool) -> str:
    told: dict[str, Any] = {"interactive": is_interactive}
    if spec.provide_cluster_info:
        told["cluster"] = _cluster_info(cluster)
    try:
        return json.dumps({"apiVersion": spec.api_version, "kind": "ExecCredential", "spec": told})
    except (ValueError, TypeError, RecursionError) as error:
        raise CredentialError(
            f"the extension for exec plugins of cluster {cluster.name!r} is no JSON",
            "correct clusters[].cluster.extensions in the kubeconfig",
        ) from error


def _cluster_info(cluster: "Cluster") -> "dict[str, Any]":
    fields = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": cluster.ca_data or _file_as_base64(cluster.ca_file),
        "proxy-url": cluster.proxy_url,
        "disable-compression": cluster.disable_compression,
        "config": cluster.exec_config,
    }
    return {name: value for name, value in fields.items() if value}


def _file_as_base64(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- the path is text throughout
            return binascii.b2a_base64(file.read(), newline=False).decode()
    except (OSError, ValueError) as error:
        raise CredentialError(
            f"the certificate authority {path} cannot be read", "check its path and mode"
        ) from error


def _run(spec: "ExecSpec", environment: "Mapping[str, str]", timeout_s: float | None) -> bytes:
    process = _start(spec, environment, is_interactive=timeout_s is None)
    with process:
        try:
            output, complaint = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            raise CredentialError(
                f"the exec plugin {spec.command} did not answer within {timeout_s:g} s",
                "run it by hand to see what it waits for",
            ) from error
        except BaseException:
            _kill(process)
            raise
    if process.returncode != 0:
        raise CredentialError(
            f"the exec plugin {spec.command} {_ended(process.returncode)}{_told(complaint or b'')}",
            "log in again, or run it by hand",
        )
    return output


def _start(
    spec: "ExecSpec", environment: "Mapping[str, str]", *, is_interactive: bool
) -> subprocess.Popen[bytes]:
    """With somebody at the terminal the plugin shares it; otherwise it has a session of its own."""
    try:
        return subprocess.Popen(
            [spec.command, *spec.args.reveal()],
            env=environment,
            stdin=None if is_interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if is_interactive else subprocess.PIPE,
            start_new_session=not is_interactive,
        )
    except OSError as error:
        hint = f" ({_hint(spec.install_hint)})" if spec.install_hint else ""
        raise CredentialError(
            f"the exec plugin {spec.command} cannot be run ({(error.strerror or '').lower()})",
            f"install it{hint}, or correct users[].user.exec.command in the kubeconfig",
        ) from error
    except ValueError as error:
        raise CredentialError(
            f"the exec plugin {spec.command} cannot be run ({error})",
            "correct users[].user.exec in the kubeconfig",
        ) from error


def _hint(text: str) -> str:
    """On one line and without what would drive a terminal."""
    plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text)
    return " ".join(re.sub(r"[^\x20-\x7e\xa0-\uffff]", " ", plain).split())[:_HINT_KEPT_CHARS]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the plugin and its children; one that answered may leave an agent of its own behind."""
    try:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        return


def _ended(code: int) -> str:
    return f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def _told(complaint: bytes) -> str:
    text = redact_text(complaint.decode(errors="replace")).strip()
    return f": {printable(text[-_STDERR_KEPT_CHARS:])}" if text else ""


def _credential(output: bytes, spec: "ExecSpec", took_ns: int) -> Credential:
    """Read the answer; its text is never told, since it may hold the credential."""
    status = _status(output, spec)
    token, certificate, key, expiry = (
        _text(status, name, spec)
        for name in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    )
    if not token and not (certificate and key):
        raise _bad_answer(spec, "holds neither a token nor a certificate with its key")
    if bool(certificate) != bool(key):
        raise _bad_answer(spec, "holds a certificate without its key, or a key without it")
    return Credential(
        token=Secret(token) if token else None,
        client_certificate=certificate,
        client_key=Secret(key) if key else None,
        expiry=expiry or None,
        expires_s=_seconds(expiry, spec) if expiry else None,
        took_ns=took_ns,
    )


def _status(output: bytes, spec: "ExecSpec") -> "Mapping[str, object]":
    try:
        document = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise _bad_answer(spec, "is not JSON") from error
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise _bad_answer(spec, "is no ExecCredential")
    if document.get("apiVersion") != spec.api_version:
        raise _bad_answer(spec, f"is not of version {spec.api_version}")
    status = document.get("status")
    return status if isinstance(status, dict) else {}


def _text(status: "Mapping[str, object]", name: str, spec: "ExecSpec") -> str:
    value = status.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad_answer(spec, f"has a {name} that is no text")
    return value


def _seconds(expiry: str, spec: "ExecSpec") -> float:
    """RFC 3339 to seconds since the epoch."""
    from datetime import datetime  # noqa: PLC0415 -- 1 ms, and only where the plugin sets an end

    try:
        moment = datetime.fromisoformat(expiry)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise _bad_answer(spec, "has an expirationTimestamp that is no time of RFC 3339")


def _bad_answer(spec: "ExecSpec", what: str) -> CredentialError:
    return CredentialError(
        f"the answer of the exec plugin {spec.command} {what}",
        "run it by hand and compare with the ExecCredential format",
    )
