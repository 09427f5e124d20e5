"""The same command with an address in place of the name: nothing is looked up.

One arm for each address that has answered, in the order in which a Go client would dial them.
"""

from typing import Literal

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.experiments.rerouting import (
    direct_path_of,
    has_answered,
    host_of,
    joined,
    passed_by,
    rerouted,
)
from kubelag.model.path import PathMap


class AddressLiteral:
    """See the module."""

    id = "address_literal"
    title = "without looking up the name"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with each address."""
        path = direct_path_of(situation)
        if path.is_literal:
            raise NotApplicableError("the kubeconfig names an address, so no name is looked up")
        hosts = answering(path)
        if not hosts:
            raise NotApplicableError(f"no address of {path.host} has answered kubelag's own probes")
        return tuple(
            Treatment(
                label=host,
                variant=rerouted(situation, joined(host, path.port)),
                removes=passed_by(path),
            )
            for host in hosts
        )


def answering(path: PathMap) -> list[str]:
    """The addresses of the name that have answered, in the order of dialling."""
    answered = {host_of(probe.address) for probe in path.front if has_answered(probe)}
    return [host for host in map(host_of, path.addresses) if host in answered]


def of_family(situation: Situation, family: Literal[4, 6]) -> Treatment:
    """The command with the first address of a family that has answered.

    Raises:
        NotApplicableError: Where the name has one family only, or none of this one has answered.
    """
    path = direct_path_of(situation)
    families = {_family(host_of(address)) for address in path.addresses}
    if len(families) < 2:  # noqa: PLR2004 - there are two
        raise NotApplicableError(f"{path.host} does not stand for addresses of both families")
    host = next((host for host in answering(path) if _family(host) == family), None)
    if host is None:
        raise NotApplicableError(f"no IPv{family} address of {path.host} has answered")
    variant = rerouted(situation, joined(host, path.port))
    return Treatment(variant=variant, removes=passed_by(path))


def _family(host: str) -> int:
    return 6 if ":" in host else 4
