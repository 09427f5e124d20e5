"""Dose and response: the same command with a longer way, to count the round trips it waits for.

A round trip cannot be removed, but it can be made longer. Through a relay of ours each exchange
takes nothing, one dose and two doses more; how much longer the command takes, by dose, is the
number of round trips that it waits for one after the other. The relay without a delay is the
control of the others.
"""

from kubelag.experiments.contract import Situation, Treatment
from kubelag.experiments.rerouting import direct_path_of, relayed, target_of
from kubelag.experiments.workshop import RelayPlan

# A twentieth of the run is seen in a command that makes few round trips; under 5 ms our own relay's
# unevenness counts, and 0.1 s is what a way round the earth adds. All three are arbitrary.
_DOSE_RATIO = 1 / 20
_LEAST_MS, _MOST_MS = 5, 100


class DelayResponse:
    """See the module."""

    id = "delay_response"
    title = "with a longer way"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command through three relays, of which the first delays nothing."""
        target = target_of(direct_path_of(situation))
        dose_ms = round(_DOSE_RATIO * situation.evidence.run.wall_ns / 1e6)
        dose_ms = min(_MOST_MS, max(_LEAST_MS, dose_ms))
        doses_ms = (0, dose_ms, 2 * dose_ms)
        return tuple(
            Treatment(
                label=f"{delay_ms}ms",
                variant=relayed(situation, RelayPlan(target=target, delay_s=delay_ms / 1e3)),
                dose_ns=delay_ms * 1_000_000,
                against="0ms" if delay_ms else "",
            )
            for delay_ms in doses_ms
        )
