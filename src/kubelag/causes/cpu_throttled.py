"""A CPU quota of the control group stops the client again and again.

What it is
    A container or a service with a CPU limit. The client starts a thread for each processor of
    the host, burns the quota of a 100 ms period in a few milliseconds and is then stopped.

How it is told apart
    `nr_throttled` and the throttled time in the group's `cpu.stat` grow while the command runs;
    the host's processors may be idle.

What it costs
    The throttled time, while the client wanted to compute.

Versions
    Go before 1.25 ignores the quota (kubectl up to 1.34); later ones start fewer threads but are
    stopped as well if they need more than the quota.

Sources
    golang/go issue 33803; kernel documentation, sched-bwc.
"""

from kubelag.causes.contract import Case, could_not_look, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CPU_THROTTLED

ID = "cpu_throttled"

_SOURCES = (
    Source(
        title="CFS bandwidth control",
        url="https://docs.kernel.org/scheduler/sched-bwc.html",
    ),
    Source(
        title="Go ignores the CPU quota before 1.25 (go#33803)",
        url="https://github.com/golang/go/issues/33803",
    ),
)


class CpuThrottled:
    """See the module."""

    id = ID
    title = "a CPU quota stops the client"

    def judge(self, case: Case) -> Judgement:
        """Compare the group's throttled time with the wall time."""
        samples = [s for s in case.evidence.host if s.throttled_ns is not None]
        if missing := could_not_look(case, ["host"]):
            return unknown(ID, "the CPU quota was not looked at", missing)
        if not samples:
            missing = ("host: no control group's cpu.stat could be read",)
            return unknown(ID, "whether a CPU quota stops the command was not seen", missing)
        periods = (samples[-1].throttled_periods or 0) - (samples[0].throttled_periods or 0)
        spent_ns = case.union_ns(CPU_THROTTLED)
        if not case.is_notable(spent_ns):
            return Judgement(
                cause=ID,
                standing="ruled_out",
                sentence=f"the CPU quota stopped the command in {counted(periods, 'period')}",
                factors=(CPU_THROTTLED,),
            )
        return _suspected(case, periods, spent_ns)


def _suspected(case: Case, periods: int, spent_ns: int) -> Judgement:
    share = share_of(spent_ns, case.attribution.wall_ns)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"the control group's CPU quota stopped {case.client} in {counted(periods, 'period')}, "
            f"{seconds(spent_ns)} in all"
        ),
        factors=(CPU_THROTTLED,),
        low_ns=case.exclusive_ns(CPU_THROTTLED),
        high_ns=spent_ns,
        arithmetic=f"{counted(periods, 'throttled period')} = {seconds(spent_ns)}",
        facts=(
            Fact(
                text=f"throttled for {seconds(spent_ns)}, {share} of the wall time", observer="host"
            ),
        ),
        advice=(
            Advice(
                id="raise-cpu-quota",
                summary="raise the CPU limit of this container or service, or start fewer threads",
                commands=(f"GOMAXPROCS=1 {' '.join(case.evidence.command)}",),
            ),
        ),
        sources=_SOURCES,
    )
