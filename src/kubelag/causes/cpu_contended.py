"""Other work keeps the processors busy, and the client waits for its turn.

What it is
    More runnable threads than processors: builds, backups, a busy loop, a noisy neighbour.

How it is told apart
    The kernel counts how long each thread was runnable but not running (`schedstat`); no quota
    is involved, and other work uses the host's processors. A client's threads also wait for one
    another when they start all at once; that is a small part of the wall time.

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
from kubelag.timeline.rates import others_busy_ratio

ID = "cpu_contended"

# While others leave half of the processors free, a thread seldom waits for them. Arbitrary.
_BUSY_RATIO = 0.5

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
        others = _others_ratio(case)
        if not case.is_notable(spent_ns):
            return Judgement(
                cause=ID,
                standing="ruled_out",
                sentence=f"{seconds(spent_ns)} of waiting for a processor; {_said(others)}",
                factors=(RUN_QUEUE,),
            )
        return _suspected(case, spent_ns, others)


def _story(case: Case, spent_ns: int, others: float | None) -> str:
    waited = f"{case.client} waited {seconds(spent_ns)} for a processor"
    if others is None:
        return f"{waited}; {_said(others)}"
    if others >= _BUSY_RATIO:
        return f"other work kept the processors busy: {waited}"
    # Its threads wait for one another when they start all at once, on few processors above all.
    return f"{waited}, though {_said(others)}: for its own threads, or on few of them (cpuset)"


def _others_ratio(case: Case) -> float | None:
    tree = case.evidence.tree
    own_ns = tree[-1].cpu_ns - tree[0].cpu_ns if tree else 0
    return others_busy_ratio(case.evidence.host, own_ns)


def _said(others: float | None) -> str:
    if others is None:
        return "how busy the processors were was not seen"
    return f"other work used {share_of(others, 1)} of the processors"


def _suspected(case: Case, spent_ns: int, others: float | None) -> Judgement:
    share = share_of(spent_ns, case.attribution.wall_ns)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=_story(case, spent_ns, others),
        factors=(RUN_QUEUE,),
        low_ns=case.exclusive_ns(RUN_QUEUE),
        high_ns=spent_ns,
        arithmetic=f"run-queue delay of the client's threads = {seconds(spent_ns)}",
        facts=(
            Fact(
                text=f"run-queue delay {seconds(spent_ns)}, {share} of the wall time",
                observer="process_tree",
            ),
            Fact(text=_said(others), observer="host"),
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
