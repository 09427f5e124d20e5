"""The real kube-apiserver and etcd, laid out as the envtest convention has it.

Source of the convention: controller-runtime `pkg/envtest`: the directory named by
`KUBEBUILDER_ASSETS` holds the programs `kube-apiserver` and `etcd`.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.control_plane import certificates, envtest_seed
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.client import AdminClient
from kubelag.lab.control_plane.handle import ControlPlane, save
from kubelag.lab.control_plane.kubeconfigs import write_kubeconfigs
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.control_plane.readiness import wait_ready
from kubelag.lab.control_plane.tokens import TOKEN_FILE, create_tokens
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.processes import python_argv, spawn

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
TETHER_MODULE = "kubelag.lab.control_plane.tether"
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
    mark: Mapping[str, str]
    """Variables by which its processes are found again."""
    is_daemon: bool

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


def check_real(options: ControlPlaneOptions) -> None:
    """Refuse options that only the embedded server has.

    Raises:
        LabError: One is in use.
    """
    if unavailable := options.embedded_only():
        raise LabError(
            f"A real API server cannot be asked for {', '.join(unavailable)}",
            "use the embedded control plane",
        )


def start_envtest(
    directory: Path,
    options: ControlPlaneOptions,
    *,
    assets: Path | None = None,
    daemon: bool = False,
    mark: Mapping[str, str] | None = None,
) -> ControlPlane:
    """Start the real servers and fill them; returns when everything is served.

    Args:
        directory: Created 0700; etcd's data is in it, so a memory file system makes it quick.
        options: What the cluster looks like.
        assets: The programs; None means where `KUBEBUILDER_ASSETS` points.
        daemon: Whether the servers outlive this process.
        mark: Variables by which the servers' processes are found again.

    Raises:
        LabError: A program is missing, did not come up, or an option cannot be had here.
    """
    check_real(options)
    found = find_assets(assets, os.environ)
    make_private_directory(directory)
    layout = _Layout(
        directory=directory,
        assets=found,
        certificates=certificates.issue(directory),
        etcd_port=0,
        port=0,
        mark=mark or {},
        is_daemon=daemon,
    )
    create_tokens(directory)
    control_plane = _start_servers(layout)
    try:
        write_kubeconfigs(directory, control_plane.url)
        open_client = partial(AdminClient, control_plane.url, layout.certificates)
        envtest_seed.seed(open_client, options, START_S)
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


def _start_servers(layout: _Layout) -> ControlPlane:
    for last in (False,) * (PORT_TRIES - 1) + (True,):
        etcd_port, port = _free_ports(2)
        tried = replace(layout, etcd_port=etcd_port, port=port)
        try:
            return _start_once(tried)
        except LabError as error:
            if last or "address already in use" not in str(error):
                raise
    raise AssertionError


def _start_once(layout: _Layout) -> ControlPlane:
    control_plane = ControlPlane(
        kind="envtest", url=layout.url, directory=layout.directory, version="", processes={}
    )
    try:
        for name, argv in (("etcd", _etcd_argv(layout)), ("kube-apiserver", _server_argv(layout))):
            process = spawn(
                argv if layout.is_daemon else _tethered(argv),
                log=control_plane.log(name),
                environment={"PATH": os.defpath, **layout.mark},
            )
            # the newest first: the API server must not see its store go away
            running = {name: process, **control_plane.processes}
            control_plane = save(replace(control_plane, processes=running))
        version = _wait_version(layout, control_plane)
    except BaseException:
        control_plane.stop()
        raise
    return save(replace(control_plane, version=version))


def _tethered(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command, tied to the life of this process."""
    return python_argv(TETHER_MODULE, str(os.getpid()), *argv)


def _wait_version(layout: _Layout, control_plane: ControlPlane) -> str:
    with closing(AdminClient(layout.url, layout.certificates)) as client:
        wait_ready(control_plane, client, START_S)
        return str(client.request("GET", "/version").json()["gitVersion"])


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
    return server_argv(
        layout.assets,
        layout.directory,
        pki.server_key,
        f"--etcd-servers={layout.etcd_url}",
        f"--etcd-cafile={pki.ca}",
        f"--etcd-certfile={pki.client_certificate}",
        f"--etcd-keyfile={pki.client_key}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.port}",
        f"--advertise-address={ADVERTISED_ADDRESS}",
    )


def server_argv(assets: Path, directory: Path, account_key: Path, *flags: str) -> tuple[str, ...]:
    """The command of a kube-apiserver.

    Args:
        assets: The directory of the program.
        directory: The server's own, with certificates and tokens.
        account_key: Signs service accounts; the same for all servers of a cluster.
        flags: Its store, and where it listens.
    """
    pki = Certificates.below(directory)
    return (
        str(assets / "kube-apiserver"),
        *flags,
        f"--tls-cert-file={pki.server_certificate}",
        f"--tls-private-key-file={pki.server_key}",
        f"--client-ca-file={pki.ca}",
        f"--token-auth-file={directory / TOKEN_FILE}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--api-audiences=https://kubernetes.default.svc",
        f"--service-account-key-file={account_key}",
        f"--service-account-signing-key-file={account_key}",
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
