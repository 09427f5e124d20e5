"""Packets are lost on the way and have to be sent again.

What it is
    A bad cable, a full queue, a failing link, an overloaded host: some packets vanish, and the
    sender waits before it sends them again. A lost SYN costs 1 s, then 2 s, then 4 s; lost data
    cost 0.2 s and more, doubling each time.

How it is told apart
    Segments of all sizes are sent again and then answered, the server's and the client's own.
    Segments that are only lost when they are large are another cause (large packets vanish).

What it costs
    What was waited for between the loss and the answer to what was sent again.

Versions
    All clients.

Sources
    RFC 6298 (retransmission timer), RFC 9293.
"""

from collections.abc import Sequence

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.network import Connection
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import LOSS
from kubelag.timeline.network_spans import connection_spans

ID = "packet_loss"

_ADVICE = Advice(
    id="find-where-packets-are-lost",
    summary=(
        "look for the link that loses them: error counters of the cards, full queues, a capture at "
        "the other end (--peer-pcap)"
    ),
    commands=("ip -s link", "nstat -az TcpRetransSegs", "ss -ti"),
)
_SOURCES = (
    Source(
        title="RFC 6298: TCP's retransmission timer", url="https://www.rfc-editor.org/rfc/rfc6298"
    ),
)


class PacketLoss:
    """See the module."""

    id = ID
    title = "packets are lost on the way"

    def judge(self, case: Case) -> Judgement:
        """Count what was sent again, and how long that was waited for."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "whether packets were lost was not seen", missing)
        seen = way_facts.connections(case)
        again = sum(_sent_again(one) for one in seen)
        sent = sum(one.sent_segments + one.received_segments for one in seen)
        told = (
            f"{again} of {counted(sent, 'segment')} on {counted(len(seen), 'connection')} "
            "sent again"
        )
        if not case.is_waited_for(LOSS):
            return innocent(ID, told, LOSS)
        lossy = _lossy(seen)
        where = sorted({one.server for one in lossy})
        if where and all(way_facts.has_moved(server, case) for server in where):
            return innocent(ID, f"{told}: the address moved, which is another cause", LOSS)
        dead = {one.client for one, _ in way_facts.deaths(case)}
        if dead and all(one.client in dead for one in lossy):
            return innocent(ID, f"{told}: a connection died, which is another cause", LOSS)
        if way_facts.lost_when_large(case.evidence.path):
            return innocent(ID, f"{told}: large ones alone, which is another cause", LOSS)
        if missing := way_facts.sizes_untried(case):
            what = f"{told}, and whether only large ones get lost is not known"
            return unknown(ID, what, missing)
        waited_ns = case.critical_ns(LOSS)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"packets are lost between here and {', '.join(where)}: {told}; the command waited "
                f"{seconds(waited_ns)} for them"
            ),
            factors=(LOSS,),
            low_ns=case.exclusive_ns(LOSS),
            high_ns=case.union_ns(LOSS),
            arithmetic=f"{told}, {seconds(waited_ns)} of waiting",
            facts=tuple(_facts(case)),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _lossy(seen: Sequence[Connection]) -> list[Connection]:
    """Those that kept the command waiting for what was sent again.

    A busy machine sends a thing again too soon, here and there, and has its answer in milliseconds.
    """
    waited_ns = [_waited_ns(one) for one in seen]
    return [one for one, ns in zip(seen, waited_ns, strict=True) if ns and 2 * ns >= max(waited_ns)]


def _waited_ns(one: Connection) -> int:
    spans = connection_spans(one)
    return sum(span.end_ns - span.start_ns for span in spans if span.factor == LOSS)


def _sent_again(one: Connection) -> int:
    return one.sent_again + one.received_again + max(0, one.syns - 1)


def _facts(case: Case) -> list[Fact]:
    worst = sorted(way_facts.connections(case), key=_sent_again, reverse=True)
    return [Fact(text=one.outline, observer=one.seen_by) for one in worst[:4] if _sent_again(one)]
