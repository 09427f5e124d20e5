"""The machine or the control group is short of memory, and the client waits for pages.

What it is
    A memory limit just above what the client needs, or a full machine: the pages of the 50 MB
    binary are thrown out and read again, or the kernel looks for free pages before each new one.

How it is told apart
    Major page faults of the client's own processes, hits of the group's memory limit, and memory
    pressure (PSI) that grows while the command runs. Disk reads are a consequence here.

What it costs
    The stalled time, while it is the client that stalls.

Versions
    All clients.

Sources
    Kernel documentation, PSI and control groups.
"""

from kubelag.causes.contract import Case, could_not_look, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import MEMORY_STALL

ID = "memory_pressure"

_SOURCES = (
    Source(title="Pressure stall information", url="https://docs.kernel.org/accounting/psi.html"),
)


class MemoryPressure:
    """See the module."""

    id = ID
    title = "memory is short"

    def judge(self, case: Case) -> Judgement:
        """Compare the stalled time with the wall time."""
        host, tree = case.evidence.host, case.evidence.tree
        if missing := could_not_look(case, ["host", "process_tree"]):
            return unknown(ID, "memory was not looked at", missing)
        faults = tree[-1].major_faults - tree[0].major_faults if tree else 0
        hits = _limit_hits(case)
        figure = f"{counted(faults, 'major page fault')}, {counted(hits, 'hit')} of a memory limit"
        if all(sample.psi_memory_some_us is None for sample in host):
            if faults or hits:
                missing = ("host: the kernel has no pressure stall information (psi=1)",)
                return unknown(ID, f"how long memory stalled was not seen ({figure})", missing)
            return _ruled_out(f"{figure}; {_free(case)}")
        spent_ns = case.union_ns(MEMORY_STALL)
        if not case.is_notable(spent_ns):
            return _ruled_out(f"{figure}, {seconds(spent_ns)} stalled; {_free(case)}")
        return _suspected(case, spent_ns, figure)


def _limit_hits(case: Case) -> int:
    known = [s.memory_limit_hits for s in case.evidence.host if s.memory_limit_hits is not None]
    return known[-1] - known[0] if known else 0


def _free(case: Case) -> str:
    if not case.evidence.host:
        return "free memory not seen"
    last = case.evidence.host[-1]
    return (
        f"{last.memory_available_bytes / 2**30:.1f} of "
        f"{last.memory_total_bytes / 2**30:.1f} GiB available"
    )


def _ruled_out(sentence: str) -> Judgement:
    return Judgement(cause=ID, standing="ruled_out", sentence=sentence, factors=(MEMORY_STALL,))


def _suspected(case: Case, spent_ns: int, figure: str) -> Judgement:
    share = share_of(spent_ns, case.attribution.wall_ns)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=f"memory is short: {case.client} stalled {seconds(spent_ns)} ({figure})",
        factors=(MEMORY_STALL,),
        low_ns=case.exclusive_ns(MEMORY_STALL),
        high_ns=spent_ns,
        arithmetic=f"{figure} = {seconds(spent_ns)} stalled",
        facts=(
            Fact(text=f"stalled {seconds(spent_ns)}, {share} of the wall time", observer="host"),
            Fact(text=figure, observer="process_tree"),
        ),
        advice=(
            Advice(
                id="free-memory",
                summary="raise the memory limit, or free memory on this machine",
                commands=("ps -eo pid,rss,comm --sort=-rss | head", "cat /proc/pressure/memory"),
            ),
        ),
        sources=_SOURCES,
    )
