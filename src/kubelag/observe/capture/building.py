"""Makes the model's connections of what was followed."""

from kubelag.model.network import Burst, Connection, Pause, Stage
from kubelag.observe.capture.expecting import Silent, turn
from kubelag.observe.capture.flow import MAX_PAUSES, Flow
from kubelag.observe.capture.following import Following
from kubelag.observe.capture.frames import Account
from kubelag.observe.capture.silences import last_silence
from kubelag.observe.capture.standing import NEVER, Standing
from kubelag.observe.capture.wanted import Identity

_SHOWN = 3
"""Connections that a note names."""


def connections(following: Following, end_ns: int, account: Account) -> tuple[Connection, ...]:
    """All of them, in the order of their first segments.

    Args:
        following: After the last batch.
        end_ns: When the capture ended.
        account: Hears of limits.
    """
    flows, standing = following.numbering.flows, following.standing
    standing.grow(following.numbering.clients)
    bursts = following.bursts.of_flows(len(flows))
    for number, flow in enumerate(flows):
        if (last := last_silence(flow, number, standing, end_ns)) is not None:
            flow.silent(last)
    cut = [flow.server for flow in flows if flow.is_cut]
    if cut:
        account.note(f"Of {', '.join(cut[:_SHOWN])} only the first {MAX_PAUSES:,} pauses were kept")
    midway = sum(flow.syn_seq is None for flow in flows)
    if midway:
        account.note(f"It begins in the middle of {midway:,} of its {len(flows):,} connections")
    return tuple(
        _connection(flow, number, standing, bursts[number]) for number, flow in enumerate(flows)
    )


def identities(following: Following) -> tuple[Identity, ...]:
    """By what each connection is known again."""
    standing = following.standing
    return tuple(
        Identity(
            client_isn=int(standing.isn[number, 0]),
            server_isn=int(standing.isn[number, 1]),
            has_begin=flow.syn_ns is not None and flow.established_ns is not None,
            random=flow.greeting.random,
            client_acked=int(standing.acked[number, 0]),
            server_acked=int(standing.acked[number, 1]),
        )
        for number, flow in enumerate(following.numbering.flows)
    )


def _connection(
    flow: Flow, number: int, standing: Standing, bursts: tuple[Burst, ...]
) -> Connection:
    sent, received = standing.sent_bytes[number].tolist()
    segments = standing.sent_segments[number].tolist()
    largest = standing.largest[number].tolist()
    greeting = flow.greeting
    return Connection(
        client=flow.client,
        server=flow.server,
        seen_by="capture",
        first_ns=int(standing.first_ns[number]),
        last_ns=int(standing.last_ns[number]),
        syn_ns=flow.syn_ns,
        established_ns=flow.established_ns,
        proxy_asked_ns=greeting.proxy_asked_ns,
        proxy_answered_ns=greeting.proxy_answered_ns,
        hello_ns=greeting.hello_ns,
        server_hello_ns=greeting.server_hello_ns,
        secured_ns=greeting.secured_ns,
        syns=flow.syns,
        ending=flow.ending,
        sent_bytes=sent,
        received_bytes=received,
        sent_segments=segments[0],
        received_segments=segments[1],
        sent_again=flow.again[0],
        received_again=flow.again[1],
        missing_bytes=_missing_bytes(flow, number, standing),
        zero_windows=flow.zero_windows,
        rtt_ns=_rtt_ns(flow, number, standing),
        largest_sent_bytes=largest[0],
        largest_received_bytes=largest[1],
        largest_sent_again_bytes=flow.largest_again,
        segment_limit_bytes=flow.limit,
        is_reachable=flow.is_reachable,
        macs=_macs(flow),
        server_name=greeting.server_name,
        protocol=greeting.protocol,
        pauses=tuple(
            _pause(flow, silent, standing.acked[number].tolist()) for silent in flow.silences
        ),
        bursts=bursts,
    )


def _pause(flow: Flow, silent: Silent, acked: list[int]) -> Pause:
    stage = _stage(flow, silent)
    # Of what was skipped it is known only now whether it came later.
    has_missed = silent.has_missed or any(
        holes.missed(silent.start_ns, silent.end_ns, upto)
        for holes, upto in zip(flow.holes, acked, strict=True)
    )
    judged = turn(silent._replace(has_missed=has_missed), stage)
    return Pause(
        start_ns=silent.start_ns,
        end_ns=silent.end_ns,
        awaited=judged.awaited,
        stage=stage,
        why=judged.why,
        retransmissions=silent.client_again + silent.server_again,
        recovered_ns=silent.recovered_ns,
        is_over=silent.ended not in {"client_closing", "nothing"},
    )


def _stage(flow: Flow, silent: Silent) -> Stage:
    greeting, at_ns = flow.greeting, silent.start_ns
    if not silent.is_connected or (flow.syn_ns is not None and flow.established_ns is None):
        return "connect"
    if _is_between(greeting.proxy_asked_ns, at_ns, greeting.proxy_answered_ns):
        return "proxy"
    if greeting.secured_ns is not None:
        return "data" if greeting.secured_ns <= at_ns else "tls"
    is_begin = flow.syn_ns is not None and (greeting.hello_ns is None or at_ns < greeting.hello_ns)
    if greeting.is_tls and greeting.hello_ns is not None:
        return "tls"
    return "tls" if is_begin and greeting.hello_ns is None else "data"


def _is_between(begin_ns: int | None, at_ns: int, end_ns: int | None) -> bool:
    return begin_ns is not None and begin_ns <= at_ns and (end_ns is None or at_ns < end_ns)


def _missing_bytes(flow: Flow, number: int, standing: Standing) -> int:
    """What the other side acknowledged and was never seen."""
    total = 0
    for side in (0, 1):
        edge, acked = int(standing.edge[number, side]), int(standing.acked[number, side])
        total += flow.holes[side].before(acked)
        # A FIN that was not seen takes one number too.
        total += max(0, acked - edge - 1)
    return total


def _rtt_ns(flow: Flow, number: int, standing: Standing) -> int | None:
    if flow.rtt_ns is not None:
        return flow.rtt_ns
    measured = int(standing.rtt_ns[number])
    return measured if measured != NEVER else None


def _macs(flow: Flow) -> tuple[str, ...]:
    """As heard from the server's side; as the client addressed it, where that tells more."""
    told, heard = flow.macs
    chosen = heard if len(heard) >= len(told) else told
    return tuple(":".join(f"{one:012x}"[at : at + 2] for at in range(0, 12, 2)) for one in chosen)
