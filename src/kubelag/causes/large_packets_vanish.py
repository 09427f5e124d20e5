"""Large packets vanish on the way without a word: an MTU black hole.

What it is
    Somewhere on the way the largest packet is smaller than at both ends (a tunnel, a VPN, an
    overlay), and the message that would say so (ICMP "fragmentation needed") is filtered. Small
    packets pass: the connection is made, the client's hello may arrive, and the server's
    certificates never do.

How it is told apart
    kubelag's own connection with the usual segments stalls, and the same with small segments gets
    through. Neither a dead server nor a slow handshake nor random loss behaves like that.

What it costs
    The TLS handshake's 10 s for each connection, or an answer that never comes.

Versions
    All clients.

Sources
    RFC 4821 and RFC 8899 (path MTU discovery without ICMP), flannel#1614.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.path import AddressProbe
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import DISCOVERY, LOSS, TARGET, TLS

ID = "large_packets_vanish"

_FACTORS = (TLS, LOSS)
_ADVICE = Advice(
    id="clamp-the-segment-size",
    summary=(
        "lower the MTU of the route to the server, clamp the segment size on the router, or let "
        "the kernel probe: sysctl net.ipv4.tcp_mtu_probing=1"
    ),
    commands=("ip route change SERVER via GATEWAY mtu 1280", "ping -M do -s 1472 SERVER"),
)
_SOURCES = (
    Source(
        title="RFC 4821: path MTU discovery that needs no ICMP",
        url="https://www.rfc-editor.org/rfc/rfc4821",
    ),
    Source(
        title="flannel#1614: TLS handshake timeout by a wrong MTU",
        url="https://github.com/flannel-io/flannel/issues/1614",
    ),
)


class LargePacketsVanish:
    """See the module."""

    id = ID
    title = "large packets vanish on the way"

    def judge(self, case: Case) -> Judgement:
        """Compare kubelag's own connections with usual and with small segments."""
        path = case.evidence.path
        if path is None and way_facts.is_quick(case, *_FACTORS, DISCOVERY, TARGET):
            return innocent(ID, "the command waited neither for handshakes nor for answers", TLS)
        if path is None:
            return unknown(ID, "the way was not tried", way_facts.unprobed(case))
        pair = way_facts.lost_when_large(path)
        if pair is None and (missing := way_facts.sizes_untried(case)):
            return unknown(ID, "what was lost may have been lost for its size", missing)
        if pair is None:
            return innocent(ID, _innocent(path.front), *_FACTORS)
        factors = (*_FACTORS, DISCOVERY, TARGET)
        if not case.is_waited_for(*factors):
            return innocent(ID, "large packets vanish, and this run did not wait for them", TLS)
        usual, small = pair
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"packets of the usual size vanish on the way to {usual.address}, small ones pass; "
                f"{case.client} waited {seconds(case.critical_ns(*factors))} for them"
            ),
            factors=_FACTORS,
            low_ns=case.exclusive_ns(*_FACTORS),
            high_ns=case.union_ns(*factors),
            arithmetic=f"{seconds(case.critical_ns(*_FACTORS))} in handshakes and for lost packets",
            facts=(_tried(usual, "usual segments"), _tried(small, _size(small))),
            experiments=("small_segments",),
            advice=(_ADVICE,),
            sources=_SOURCES,
        )


def _innocent(front: tuple[AddressProbe, ...]) -> str:
    sizes = [one.segment_bytes for one in front if one.segment_bytes and not one.error]
    if not sizes:
        return "no connection with small segments got further than one with usual ones"
    return f"handshakes with segments of {max(sizes):,} bytes got through"


def _tried(probe: AddressProbe, how: str) -> Fact:
    outcome = probe.error or f"TLS in {seconds(probe.tls_ns or 0)}"
    return Fact(text=f"tried by kubelag with {how}: {probe.address}: {outcome}", observer="path")


def _size(probe: AddressProbe) -> str:
    return f"segments of at most {probe.segment_limit_bytes or 0:,} bytes"
