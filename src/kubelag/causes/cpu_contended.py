"""Other work keeps the processors busy, and the client waits for its turn.

What it is
    More runnable threads than processors: builds, backups, a busy loop, a noisy neighbour.

How it is told apart
    The kernel counts how long each thread was runnable but not running (`schedstat`); no quota
    is involved, and the host's processors are busy.

What it costs
    The run-queue delay of the client's own threads.

Versions
    All clients.

Sources
    Kernel documentation, sched-stats and PSI.
"""

from kubelag.causes.contract import Case, could_not_look, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import RUN_QUEUE
from kubelag.timeline.rates import cpu_busy

ID = "cpu_contended"

_SOURCES = (
    Source(title="Scheduler statistics", url="https://docs.kernel.org/scheduler/sched-stats.html"),
)


class CpuContended:
    """See the module."""

    id = ID
    title = "the processors are busy with other work"

    def judge(self, case: Case) -> Judgement:
        """Compare the run-queue delay with the wall time."""
        if missing := could_not_look(case, ["process_tree"]):
            return unknown(ID, "the run-queue delay was not looked at", missing)
        spent_ns = case.union_ns(RUN_QUEUE)
        busy = f"processors {share_of(_busy_ratio(case), 1)} busy"
        if not case.is_notable(spent_ns):
            return Judgement(
                cause=ID,
                standing="ruled_out",
                sentence=f"{seconds(spent_ns)} of waiting for a processor; {busy}",
                factors=(RUN_QUEUE,),
            )
        return _suspected(case, spent_ns, busy)


def _busy_ratio(case: Case) -> float:
    busy = cpu_busy(case.evidence.host)
    return busy.mean if busy else 0.0


def _suspected(case: Case, spent_ns: int, busy: str) -> Judgement:
    share = share_of(spent_ns, case.attribution.wall_ns)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"other work kept the processors busy: {case.client} waited {seconds(spent_ns)} "
            "for a processor"
        ),
        factors=(RUN_QUEUE,),
        low_ns=case.exclusive_ns(RUN_QUEUE),
        high_ns=spent_ns,
        arithmetic=f"run-queue delay of the client's threads = {seconds(spent_ns)}",
        facts=(
            Fact(
                text=f"run-queue delay {seconds(spent_ns)}, {share} of the wall time",
                observer="process_tree",
            ),
            Fact(text=busy, observer="host"),
        ),
        advice=(
            Advice(
                id="free-the-processors",
                summary="find the work that keeps the processors busy, and move it or lower it",
                commands=("ps -eo pid,ni,pcpu,comm --sort=-pcpu | head",),
            ),
        ),
        sources=_SOURCES,
    )
