"""The real kube-apiserver several times over, with one etcd that no network fault can reach."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.control_plane import envtest, envtest_seed
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.client import AdminClient, wait_answer
from kubelag.lab.control_plane.envtest_seed import OpenClient
from kubelag.lab.control_plane.handle import ControlPlane, save
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.control_plane.places import Place
from kubelag.lab.processes import Identity, spawn

STORE_URL = "unix://store:0"
"""A socket in the group's directory: private, and on no host's network. etcd insists on a port."""
NAME = "kube-apiserver"


def check(options: ControlPlaneOptions, places: Sequence[Place]) -> None:
    """Refuse what real servers could not be.

    Raises:
        LabError: An option is only the embedded server's, or an address is on loopback.
    """
    envtest.check_real(options)
    for place in places:
        if ip_address(place.address).is_loopback:
            raise LabError(
                f"A real API server cannot be known to others as {place.address}",
                "give it an address that is not on loopback, in a network namespace",
            )


def start_store(directory: Path, assets: Path, mark: Mapping[str, str]) -> Identity:
    """Start the one etcd, in the group's directory."""
    argv = (
        str(assets / "etcd"),
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={STORE_URL}",
        f"--advertise-client-urls={STORE_URL}",
        "--listen-peer-urls=http://127.0.0.1:0",
    )
    environment = {"PATH": os.defpath, **mark}
    return spawn(argv, log=directory / "etcd.log", environment=environment, directory=directory)


def start_server(
    directory: Path, place: Place, assets: Path, mark: Mapping[str, str]
) -> ControlPlane:
    """Start one server inside its host; does not wait.

    Args:
        directory: The group's.
        place: Where it is.
        assets: The directory of the program.
        mark: Variables by which its process is found again.
    """
    own = directory / place.name
    argv = envtest.server_argv(
        assets,
        own,
        Certificates.below(directory).server_key,
        f"--etcd-servers={STORE_URL}",
        f"--bind-address={place.listen_address}",
        f"--secure-port={place.port}",
        f"--advertise-address={place.address}",
        # each server keeps its own address in the service's endpoints for as long as it lives
        "--endpoint-reconciler-type=lease",
    )
    process = spawn(
        place.namespace.argv(argv) if place.namespace else argv,
        log=own / f"{NAME}.log",
        environment={"PATH": os.defpath, **mark},
        directory=directory,
    )
    return save(
        ControlPlane(
            kind="envtest", url=place.url, directory=own, version="", processes={NAME: process}
        )
    )


def ask_version(client: AdminClient) -> str:
    """What a server that is ready calls itself."""
    return str(client.request("GET", "/version").json()["gitVersion"])


def fill(
    clients: Sequence[OpenClient], options: ControlPlaneOptions, places: Sequence[Place]
) -> None:
    """Fill the cluster; returns when every server serves all of it, and names all the others.

    Raises:
        LabError: Something was refused, or not served in time.
    """
    groups = envtest_seed.seed(clients[0], options, envtest.START_S)
    addresses = {place.address for place in places}
    for open_client in clients:
        envtest_seed.wait_served(open_client, groups, options, envtest.START_S)
        _wait_all(open_client, addresses)


def _wait_all(open_client: OpenClient, addresses: set[str]) -> None:
    with closing(open_client()) as client:
        wait_answer(
            lambda: _endpoints(client) == addresses,
            timeout_s=envtest.START_S,
            problem="The API servers did not find each other",
            next_step="read their logs",
        )


def _endpoints(client: AdminClient) -> set[str]:
    answer = client.request("GET", "/api/v1/namespaces/default/endpoints/kubernetes")
    subsets = answer.json().get("subsets", ())
    return {address["ip"] for subset in subsets for address in subset["addresses"]}
