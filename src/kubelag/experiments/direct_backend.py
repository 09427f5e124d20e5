"""The same command straight to each API server, past the balancer: one arm for each backend."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.experiments.rerouting import path_of, rerouted


class DirectBackend:
    """See the module."""

    id = "direct_backend"
    title = "straight to the API server"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with each backend's address."""
        path = path_of(situation)
        if not path.backends:
            why = path.backends_why or "nobody said which there are"
            raise NotApplicableError(f"no API server behind a balancer is known: {why}")
        return tuple(
            Treatment(label=backend.name, variant=rerouted(situation, backend.address))
            for backend in path.backends
        )
