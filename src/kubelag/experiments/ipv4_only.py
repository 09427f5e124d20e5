"""The same command over IPv4 alone: to the first such address that has answered.

It looks up no name either; `address_literal` shows what that alone saves.
"""

from kubelag.experiments.address_literal import of_family
from kubelag.experiments.contract import Situation, Treatment


class Ipv4Only:
    """See the module."""

    id = "ipv4_only"
    title = "over IPv4 alone"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with that address."""
        return (of_family(situation, 4),)
