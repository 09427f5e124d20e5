"""The server is far away: every exchange costs a round trip, and many come one after another.

What it is
    A long way (another continent, a VPN, a satellite), or queues on it. A cold command exchanges
    at least: the connection, one or two for TLS, `/api`, `/apis`, the group-versions, the object.

How it is told apart
    Each answer comes one round trip after its question at the earliest; the round trip is measured
    on the connections themselves (the SYN and its answer).

What it costs
    The round trip times the exchanges that wait for one another. The experiment adds delay to each
    and sees how much longer the command takes: that slope is their number.

Versions
    All clients; aggregated discovery (kubectl 1.30 with servers from 1.27 on) saves some.

Sources
    RFC 9293, RFC 8446 section 2; Curtsinger and Berger, Coz (SOSP 2015), for causes by slowing.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Judgement, Source
from kubelag.timeline.factors import ROUND_TRIPS

ID = "round_trips_long"

_ADVICE = Advice(
    id="work-nearer-to-the-server",
    summary=(
        "run the command near the server, keep its discovery cache warm, and use a kubectl and a "
        "server with aggregated discovery: fewer exchanges wait for one another"
    ),
    commands=("kubectl version",),
)
_SOURCES = (
    Source(
        title="RFC 8446 section 2: round trips of a TLS handshake",
        url="https://www.rfc-editor.org/rfc/rfc8446#section-2",
    ),
)


class RoundTripsLong:
    """See the module."""

    id = ID
    title = "the server is far away"

    def judge(self, case: Case) -> Judgement:
        """Look at the round trip and at what was waited for because of it."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "how long a round trip takes was not seen", missing)
        rtt_ns = way_facts.round_trip_ns(case)
        if rtt_ns is None:
            missing = ("sockets: no connection lived long enough for its round trip to be told",)
            return unknown(ID, "how long a round trip takes was not seen", missing)
        waited_ns = case.critical_ns(ROUND_TRIPS)
        told = f"a round trip to the server takes {seconds(rtt_ns)}"
        if not case.is_waited_for(ROUND_TRIPS):
            return innocent(ID, f"{told}, {seconds(waited_ns)} in all", ROUND_TRIPS)
        trips = waited_ns / max(1, rtt_ns)
        return Judgement(
            cause=ID,
            standing="suspected",
            sentence=(
                f"the server is far away: {told}, and {case.client} waited for about "
                f"{counted(round(trips), 'round trip')} one after another, {seconds(waited_ns)}"
            ),
            factors=(ROUND_TRIPS,),
            low_ns=case.exclusive_ns(ROUND_TRIPS),
            high_ns=case.union_ns(ROUND_TRIPS),
            arithmetic=f"{trips:.1f} round trips x {seconds(rtt_ns)} = {seconds(waited_ns)}",
            experiments=("delay_response",),
            dose_ns=rtt_ns,
            advice=(_ADVICE,),
            sources=_SOURCES,
        )
