"""Runs a kubeconfig user's exec plugin by itself, as kubectl would, and times it.

Protocol: client.authentication.k8s.io/v1 and v1beta1 (KEP-541). The plugin gets a JSON document
in KUBERNETES_EXEC_INFO and answers with an ExecCredential on its standard output.
"""

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubelag.errors import CredentialError
from kubelag.kube.kubeconfig import Cluster, ExecSpec
from kubelag.kube.redact import redact_text
from kubelag.kube.secret import Secret

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
# Enough to recognise a plugin's complaint, and too little to drown a report in.
_STDERR_KEPT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What an exec plugin handed out."""

    token: Secret[str] | None
    client_certificate: str = ""
    """PEM; a certificate is public, its key is not."""
    client_key: Secret[str] | None = None
    expiry: str | None = None
    """RFC 3339, as the plugin wrote it; None where it set no end."""
    took_ns: int
    """Wall time of the plugin."""


def run_exec_plugin(
    spec: ExecSpec,
    cluster: Cluster,
    timeout_s: float,
    *,
    env: Mapping[str, str] | None = None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Credential:
    """Run the plugin once, without a terminal.

    Args:
        spec: What to run.
        cluster: Told to the plugin where it asks for it.
        timeout_s: After this the plugin and its children are killed.
        env: kubectl's environment; this process's where None.
        clock_ns: A monotonic clock.

    Raises:
        CredentialError: If the plugin cannot run, fails, takes too long, wants a terminal, or
            answers with anything but a credential.
    """
    if spec.api_version not in API_VERSIONS:
        raise CredentialError(
            f"the exec plugin {spec.command} speaks {spec.api_version or 'no version'}",
            f"kubelag speaks {' and '.join(API_VERSIONS)}",
        )
    if spec.interactive_mode == "Always":
        raise CredentialError(
            f"the exec plugin {spec.command} always wants a terminal, so it cannot be run apart",
            "set interactiveMode to IfAvailable if it can do without",
        )
    environment = {**(os.environ if env is None else env), **dict(spec.env.reveal())}
    environment["KUBERNETES_EXEC_INFO"] = _exec_info(spec, cluster)
    began = clock_ns()
    output = _run(spec, environment, timeout_s)
    return _credential(output, spec, clock_ns() - began)


def _exec_info(spec: ExecSpec, cluster: Cluster) -> str:
    told: dict[str, Any] = {"interactive": False}
    if spec.provide_cluster_info:
        told["cluster"] = _cluster_info(cluster)
    return json.dumps({"apiVersion": spec.api_version, "kind": "ExecCredential", "spec": told})


def _cluster_info(cluster: Cluster) -> dict[str, Any]:
    fields = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": cluster.ca_data or _file_as_base64(cluster.ca_file),
        "proxy-url": cluster.proxy_url,
        "config": cluster.exec_config,
    }
    return {name: value for name, value in fields.items() if value}


def _file_as_base64(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- the path is text throughout
            return base64.b64encode(file.read()).decode()
    except OSError as error:
        raise CredentialError(
            f"the certificate authority {path} cannot be read", "check its path and mode"
        ) from error


def _run(spec: ExecSpec, environment: Mapping[str, str], timeout_s: float) -> bytes:
    try:
        process = subprocess.Popen(
            [spec.command, *spec.args.reveal()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CredentialError(
            f"the exec plugin {spec.command} cannot be run ({(error.strerror or '').lower()})",
            "install it, or correct users[].user.exec.command in the kubeconfig",
        ) from error
    with process:
        try:
            output, complaint = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill_group(process)
            raise CredentialError(
                f"the exec plugin {spec.command} did not answer within {timeout_s:g} s",
                "run it by hand to see what it waits for",
            ) from error
        except BaseException:
            _kill_group(process)
            raise
    if process.returncode != 0:
        raise CredentialError(
            f"the exec plugin {spec.command} failed with exit code {process.returncode}"
            f"{_told(complaint)}",
            "log in again, or run it by hand",
        )
    return output


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the plugin and its children; one that answered may leave an agent of its own behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _told(complaint: bytes) -> str:
    text = redact_text(complaint.decode(errors="replace")).strip()
    return f": {text[-_STDERR_KEPT_CHARS:]}" if text else ""


def _credential(output: bytes, spec: ExecSpec, took_ns: int) -> Credential:
    """Read the answer; its text is never told, since it may hold the credential."""
    try:
        document = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise _bad_answer(spec, "is not JSON") from error
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise _bad_answer(spec, "is no ExecCredential")
    if document.get("apiVersion") != spec.api_version:
        raise _bad_answer(spec, f"is not of version {spec.api_version}")
    status = document.get("status")
    status = status if isinstance(status, dict) else {}
    token, certificate, key, expiry = (
        _text(status, name, spec)
        for name in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    )
    if not token and not (certificate and key):
        raise _bad_answer(spec, "holds neither a token nor a certificate with its key")
    return Credential(
        token=Secret(token) if token else None,
        client_certificate=certificate,
        client_key=Secret(key) if key else None,
        expiry=expiry or None,
        took_ns=took_ns,
    )


def _text(status: Mapping[str, object], name: str, spec: ExecSpec) -> str:
    value = status.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad_answer(spec, f"has a {name} that is no text")
    return value


def _bad_answer(spec: ExecSpec, what: str) -> CredentialError:
    return CredentialError(
        f"the answer of the exec plugin {spec.command} {what}",
        "run it by hand and compare with the ExecCredential format",
    )
