"""The same command with another kubectl of this machine, on an equally cold cache."""

from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.kube.versions import FIXED_FSYNC, Version, parse_version
from kubelag.observe.other_clients import OtherClient, find_kubectls


class OtherClientInstead:
    """See the module."""

    id = "other_client"
    title = "with another kubectl"

    def vary(self, situation: Situation) -> Variant:
        """The command with the newest other kubectl that is no wrapper."""
        evidence = situation.evidence
        others = [
            client
            for client in find_kubectls(situation.unchanged.env)
            if not client.is_wrapper and client.version != evidence.client.version
        ]
        if not others:
            raise NotApplicableError("this machine has no other kubectl")
        other = max(others, key=_preference)
        words = " ".join(evidence.command[1:])
        return situation.unchanged.but(
            argv=(other.path, *situation.unchanged.argv[1:]),
            shown=f"{other.path} {words}  # kubectl {other.version}",
        )


def _preference(client: OtherClient) -> tuple[bool, Version]:
    """A client with the fix first, then the newest."""
    version = parse_version(client.version or "") or Version(0, 0)
    return version >= FIXED_FSYNC, version
