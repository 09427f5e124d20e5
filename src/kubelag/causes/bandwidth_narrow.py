"""The line to the server is narrow: answers arrive as fast as it allows, and that is slow.

What it is
    A thin or crowded link: a VPN, a mobile line, a limit. Lists and discovery documents are large.

How it is told apart
    The connection receives at an even rate without a pause, for long, and the kernel's round trip
    rises meanwhile, since the queue before the narrow part fills up, or packets get lost there. A
    server that sends no faster does neither; where nobody saw that, neither is accused.

What it costs
    The bytes received divided by what the line carries.

Versions
    All clients; from kubectl 1.26 on answers over 128 KiB are compressed unless
    --disable-compression is given.

Sources
    kubernetes#112296 (compression), RFC 9438 (what fills a line).
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, could_not_look, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import ROUND_TRIPS, TRANSFER
from kubelag.timeline.transfer import Transfer, has_crowded, transfers

ID = "bandwidth_narrow"

_MEGA = 1e6
_ADVICE = Advice(
    id="ask-for-less",
    summary=(
        "ask for less (--chunk-size, selectors, tables instead of -o yaml), let answers be "
        "compressed, or run the command near the server"
    ),
    commands=("kubectl get nodes --chunk-size=500",),
)
_SOURCES = (
    Source(
        title="kubernetes#112296: what compression costs and saves",
        url="https://github.com/kubernetes/kubernetes/issues/112296",
    ),
)
_UNSEEN = ("sockets: the round trip while it received, which rises before a full line",)


class BandwidthNarrow:
    """See the module."""

    id = ID
    title = "the line to the server is narrow"

    def judge(self, case: Case) -> Judgement:
        """Look for stretches in which the line was full."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "how fast answers arrived was not seen", missing)
        full = [one for each in way_facts.connections(case) for one in transfers(each)]
        if not full and way_facts.has_queued_unseen(case):
            missing = could_not_look(case, ["capture"]) or _UNSEEN
            return unknown(
                ID, "packets queued on the way, and when the line was full is not known", missing
            )
        if not full or not case.is_waited_for(TRANSFER):
            return innocent(ID, _received(case), TRANSFER)
        widest = max(full, key=lambda one: one.received_bytes)
        if not _has_crowded(case, widest):
            even = f"answers arrived evenly, {widest.bits_per_s / _MEGA:.2f} Mbit/s"
            return unknown(ID, f"{even}: the line's doing, or the server's", _UNSEEN)
        waited_ns = case.critical_ns(TRANSFER)
        total = sum(one.received_bytes for one in full)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the line to the server carries {widest.bits_per_s / _MEGA:.2f} Mbit/s; "
                f"{case.client} received {total:,} bytes over it in {seconds(waited_ns)}"
            ),
            factors=(TRANSFER, ROUND_TRIPS),
            low_ns=case.exclusive_ns(TRANSFER),
            high_ns=case.union_ns(TRANSFER, ROUND_TRIPS),
            arithmetic=_arithmetic(widest, total),
            facts=tuple(_facts(case)),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _has_crowded(case: Case, widest: Transfer) -> bool:
    """Whether packets queued before the line or got lost, as they do before a full one."""
    return any(has_crowded(one, widest.bits_per_s) for one in way_facts.connections(case))


def _arithmetic(widest: Transfer, total: int) -> str:
    took_ns = total * 8e9 / widest.bits_per_s
    rate = widest.bits_per_s / _MEGA
    return f"{total:,} bytes x 8 / {rate:.2f} Mbit/s = {seconds(took_ns)}"


def _received(case: Case) -> str:
    total = sum(one.received_bytes for one in way_facts.connections(case))
    return f"{total:,} bytes were received, and never as much as the line carries for long"


def _facts(case: Case) -> list[Fact]:
    risen = [
        one
        for one in way_facts.connections(case)
        if one.rtt_ns and one.rtt_smoothed_ns and one.rtt_smoothed_ns > one.rtt_ns
    ]
    return [
        Fact(
            text=(
                f"the round trip to {one.server} rose from {seconds(one.rtt_ns or 0)} to "
                f"{seconds(one.rtt_smoothed_ns or 0)}"
            ),
            observer="sockets",
        )
        for one in risen[:1]
    ]
