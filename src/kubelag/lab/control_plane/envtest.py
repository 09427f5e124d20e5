"""The real kube-apiserver and etcd, laid out as the envtest convention has it.

Source of the convention: controller-runtime `pkg/envtest`: the directory named by
`KUBEBUILDER_ASSETS` holds the programs `kube-apiserver` and `etcd`.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.control_plane import certificates, envtest_seed, processes
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.client import AdminClient, wait_until
from kubelag.lab.control_plane.handle import ControlPlane, save
from kubelag.lab.control_plane.kubeconfigs import write_kubeconfigs
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.control_plane.spawning import lab_argv
from kubelag.lab.control_plane.tokens import TOKEN_FILE, create_tokens

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
START_S = 120.0
"""A real server needs about 10 s; on a shared two-core machine up to a minute was seen."""
ADVERTISED_ADDRESS = "192.0.2.1"
"""The server refuses to advertise loopback; TEST-NET-1 of RFC 5737 belongs to nobody."""
PORT_TRIES = 3
"""Free ports are found before the servers bind them, so somebody may be quicker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    directory: Path
    assets: Path
    certificates: Certificates
    etcd_port: int
    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def etcd_url(self) -> str:
        return f"https://127.0.0.1:{self.etcd_port}"


def find_assets(assets: Path | None, environment: Mapping[str, str]) -> Path:
    """The directory with both programs.

    Raises:
        LabError: It is not named, or a program is missing from it.
    """
    if assets is None:
        named = environment.get(ASSETS_VARIABLE)
        if not named:
            raise LabError(
                f"{ASSETS_VARIABLE} is not set",
                "let it name a directory with the programs kube-apiserver and etcd, "
                "or use the embedded control plane",
            )
        assets = Path(named)
    for program in ("kube-apiserver", "etcd"):
        if not os.access(assets / program, os.X_OK) or not (assets / program).is_file():
            raise LabError(
                f"There is no program {program} in {assets}",
                f"put it there, or let {ASSETS_VARIABLE} name the directory that has it",
            )
    return assets


def start_envtest(
    directory: Path,
    options: ControlPlaneOptions,
    *,
    assets: Path | None = None,
    daemon: bool = False,
) -> ControlPlane:
    """Start the real servers and fill them; returns when everything is served.

    Args:
        directory: Created 0700; etcd's data is in it, so a memory file system makes it quick.
        options: What the cluster looks like.
        assets: The programs; None means where `KUBEBUILDER_ASSETS` points.
        daemon: Whether the servers outlive this process.

    Raises:
        LabError: A program is missing, did not come up, or an option cannot be had here.
    """
    if unavailable := options.embedded_only():
        raise LabError(
            f"A real API server cannot be asked for {', '.join(unavailable)}",
            "use the embedded control plane",
        )
    found = find_assets(assets, os.environ)
    make_private_directory(directory)
    layout = _Layout(
        directory=directory,
        assets=found,
        certificates=certificates.issue(directory),
        etcd_port=0,
        port=0,
    )
    create_tokens(directory)
    control_plane = _start_servers(layout, daemon=daemon)
    try:
        write_kubeconfigs(directory, control_plane.url)
        envtest_seed.seed(control_plane.url, layout.certificates, options, START_S)
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


def _start_servers(layout: _Layout, *, daemon: bool) -> ControlPlane:
    for last in (False,) * (PORT_TRIES - 1) + (True,):
        etcd_port, port = _free_ports(2)
        tried = replace(layout, etcd_port=etcd_port, port=port)
        try:
            return _start_once(tried, daemon=daemon)
        except LabError as error:
            if last or "address already in use" not in str(error):
                raise
    raise AssertionError


def _start_once(layout: _Layout, *, daemon: bool) -> ControlPlane:
    control_plane = ControlPlane(
        kind="envtest", url=layout.url, directory=layout.directory, version="", processes=()
    )
    try:
        for name, argv in (("etcd", _etcd_argv(layout)), ("kube-apiserver", _server_argv(layout))):
            record = processes.spawn(
                name,
                lab_argv(argv, daemon=daemon),
                log=layout.directory / f"{name}.log",
                environment={"PATH": os.defpath},
            )
            # the newest first: the API server must not see its store go away
            control_plane = save(
                replace(control_plane, processes=(record, *control_plane.processes))
            )
        version = _wait_ready(layout, control_plane)
    except BaseException:
        control_plane.stop()
        raise
    return save(replace(control_plane, version=version))


def _wait_ready(layout: _Layout, control_plane: ControlPlane) -> str:
    client = AdminClient(layout.url, layout.certificates)

    def is_ready() -> bool:
        for record in control_plane.processes:
            if not processes.is_running(record):
                log = layout.directory / f"{record.name}.log"
                raise LabError(
                    f"{record.name} ended before it was ready: {processes.last_words(log)}",
                    f"read {log}",
                )
        return client.request("GET", "/readyz").body == b"ok"

    try:
        wait_until(
            is_ready,
            deadline_s=time.monotonic() + START_S,
            what=f"kube-apiserver was not ready within {START_S:.0f} s",
            hint=f"read {layout.directory / 'kube-apiserver.log'}",
        )
        return str(client.request("GET", "/version").json()["gitVersion"])
    finally:
        client.close()


def _etcd_argv(layout: _Layout) -> tuple[str, ...]:
    return (
        str(layout.assets / "etcd"),
        f"--data-dir={layout.directory / 'etcd'}",
        f"--listen-client-urls={layout.etcd_url}",
        f"--advertise-client-urls={layout.etcd_url}",
        "--listen-peer-urls=http://127.0.0.1:0",
        # without it any user of the machine could read and write the cluster
        "--client-cert-auth",
        f"--trusted-ca-file={layout.certificates.ca}",
        f"--cert-file={layout.certificates.server_certificate}",
        f"--key-file={layout.certificates.server_key}",
    )


def _server_argv(layout: _Layout) -> tuple[str, ...]:
    pki = layout.certificates
    return (
        str(layout.assets / "kube-apiserver"),
        f"--etcd-servers={layout.etcd_url}",
        f"--etcd-cafile={pki.ca}",
        f"--etcd-certfile={pki.client_certificate}",
        f"--etcd-keyfile={pki.client_key}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.port}",
        f"--advertise-address={ADVERTISED_ADDRESS}",
        f"--tls-cert-file={pki.server_certificate}",
        f"--tls-private-key-file={pki.server_key}",
        f"--client-ca-file={pki.ca}",
        f"--token-auth-file={layout.directory / TOKEN_FILE}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--api-audiences=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.server_key}",
        f"--service-account-signing-key-file={pki.server_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        # nobody makes service accounts here, and a pod without one would be refused
        "--disable-admission-plugins=ServiceAccount",
        "--profiling=false",
    )


def _free_ports(count: int) -> tuple[int, ...]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return tuple(int(item.getsockname()[1]) for item in sockets)
    finally:
        for item in sockets:
            item.close()
