"""The same command with another kubectl of this machine, on an equally cold cache."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.observe.other_clients import find_kubectls, newest


class OtherClientInstead:
    """See the module."""

    id = "other_client"
    title = "with another kubectl"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with the newest other kubectl that is no wrapper."""
        evidence = situation.evidence
        found = find_kubectls(situation.unchanged.env)
        other = newest(client for client in found if client.version != evidence.client.version)
        if other is None:
            raise NotApplicableError("this machine has no other kubectl")
        words = " ".join(evidence.command[1:])
        variant = situation.unchanged.but(
            argv=(other.path, *situation.unchanged.argv[1:]),
            shown=f"{other.path} {words}  # kubectl {other.version}",
        )
        return (Treatment(variant=variant),)
