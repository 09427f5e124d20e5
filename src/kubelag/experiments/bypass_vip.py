"""The same command to each balancer's own address instead of the shared one (VIP).

Which hosts these are nobody says: a backend's host counts as one where it accepts TLS on the port
of the front, as it does where balancers stand beside the API servers. It must show a certificate
that the command trusts: without that, nobody who only may be a balancer is sent a credential.
"""

import socket
import ssl

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.experiments.rerouting import (
    direct_path_of,
    host_of,
    joined,
    passed_by,
    refuse_strangers,
    rerouted,
    unverified_context,
)
from kubelag.model.path import PathMap

# For one host of the own site; arbitrary. What takes longer would not be a better way.
_TRY_S = 2.0


class BypassVip:
    """See the module."""

    id = "bypass_vip"
    title = "to the balancer's own address"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with each balancer's address."""
        path = direct_path_of(situation)
        refuse_strangers(situation)
        hosts = [host for host in _candidates(path) if _accepts_tls(host, path)]
        if not hosts:
            raise NotApplicableError(
                f"no backend's host accepts TLS on port {path.port}, where the balancer listens"
            )
        return tuple(
            Treatment(
                label=host,
                variant=rerouted(situation, joined(host, path.port)),
                removes=passed_by(path),
            )
            for host in hosts
        )


def _candidates(path: PathMap) -> list[str]:
    """Hosts of backends, without the front's addresses and where the backend has its port."""
    fronts = {path.host, *map(host_of, path.addresses)}
    found = (
        host_of(backend.address)
        for backend in path.backends
        if backend.address != joined(host_of(backend.address), path.port)
    )
    return [host for host in dict.fromkeys(found) if host not in fronts]


def _accepts_tls(host: str, path: PathMap) -> bool:
    try:
        with (
            socket.create_connection((host, path.port), timeout=_TRY_S) as plain,
            unverified_context().wrap_socket(plain, server_hostname=path.tls_name or host),
        ):
            return True
    except (OSError, ssl.SSLError, ValueError):
        return False
