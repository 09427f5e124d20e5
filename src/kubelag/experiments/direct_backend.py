"""The same command straight to each API server, past the balancer: one arm for each backend."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.experiments.rerouting import passed_by, path_of, refuse_strangers, rerouted


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
        if any(backend.source == "endpoints" for backend in path.backends):
            refuse_strangers(situation)  # nobody on this machine has named them
        return tuple(
            Treatment(
                label=backend.name,
                variant=rerouted(situation, backend.address),
                removes=passed_by(path),
            )
            for backend in path.backends
        )
