"""The balancers' virtual address moved to another machine while the command ran.

What it is
    keepalived (VRRP) gives the address to another node when its owner is gone, or when it takes a
    busy owner for gone. The new owner knows nothing of the connections that there were: it resets
    them, or their packets go nowhere until then.

How it is told apart
    Another card answers for the address than before, and connections that were in use then fell
    silent or were reset: the client's log has requests that were never answered, and were when they
    were asked again.

What it costs
    About three advertisement intervals (3 s by default) until the address answers again, and a new
    connection.

Versions
    All clients.

Sources
    RFC 5798 (VRRP, master down interval), keepalived's manual.
"""

from kubelag.causes import way_facts
from kubelag.causes.contract import Case, innocent, unknown
from kubelag.model.network import Connection
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import BROKEN, LOSS, RETRY, TARGET

ID = "virtual_address_moved"

_FACTORS = (BROKEN, LOSS, RETRY)
_ADVICE = Advice(
    id="steady-the-virtual-address",
    summary=(
        "find out from keepalived's log why the address moved; check its priorities, its "
        "advertisements and its track scripts"
    ),
    commands=("journalctl -u keepalived --since -10min", "ip neigh show to ADDRESS"),
)
_SOURCES = (
    Source(
        title="RFC 5798: VRRP, the master down interval",
        url="https://www.rfc-editor.org/rfc/rfc5798#section-6.1",
    ),
)


class VirtualAddressMoved:
    """See the module."""

    id = ID
    title = "the virtual address moved"

    def judge(self, case: Case) -> Judgement:
        """Look for a second card behind the same address, and for what that interrupted."""
        if missing := way_facts.unseen(case):
            return unknown(ID, "who answered for the address was not seen", missing)
        owners = way_facts.owners(case)
        moved = {address: macs for address, macs in owners.items() if len(macs) > 1}
        if not moved:
            return innocent(ID, _steady(owners), TARGET)
        address, macs = next(iter(moved.items()))
        hurt = [one for one in way_facts.connections(case) if _is_hurt(one, address, macs)]
        waited_ns = _lost_ns(case, hurt) + case.critical_ns(RETRY, LOSS)
        if not hurt or not case.is_notable(waited_ns):
            return innocent(ID, f"{address} moved{_harm(hurt)}", TARGET)
        return _suspected(case, address, macs, hurt)


def _suspected(
    case: Case, address: str, macs: tuple[str, ...], hurt: list[Connection]
) -> Judgement:
    lost_ns, paused_ns = _lost_ns(case, hurt), case.critical_ns(RETRY)
    repeated_ns = case.critical_ns(LOSS)
    repeated = f"{seconds(repeated_ns)} for packets sent again, " if repeated_ns else ""
    waited_ns = lost_ns + paused_ns + repeated_ns
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"the address {address} moved from {macs[0]} to {macs[-1]} while {case.client} "
            f"used it; that took {seconds(waited_ns)}"
        ),
        factors=_FACTORS,
        low_ns=min(lost_ns + paused_ns, case.attribution.wall_ns),
        high_ns=min(waited_ns, case.attribution.wall_ns),
        arithmetic=(
            f"{seconds(lost_ns)} of waiting on a connection that broke, {repeated}"
            f"{seconds(paused_ns)} until the client tried again"
        ),
        facts=tuple(_facts(hurt)),
        experiments=("bypass_vip",),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _steady(owners: dict[str, tuple[str, ...]]) -> str:
    known = {address: macs for address, macs in owners.items() if macs}
    if not known:
        return "no address of the server is on this network"
    return ", ".join(f"{address} stayed at {macs[0]}" for address, macs in sorted(known.items()))


def _is_hurt(connection: Connection, address: str, macs: tuple[str, ...]) -> bool:
    """Whether it fell silent or was reset, and did not begin with the new owner already."""
    if connection.server.rpartition(":")[0] != address or connection.macs[:1] == macs[-1:]:
        return False
    has_suffered = bool(connection.pauses) or connection.syns > 1
    return has_suffered or connection.ending == "server_reset"


def _lost_ns(case: Case, hurt: list[Connection]) -> int:
    """How long answers were waited for that never came.

    Where nobody read the client's log, the last silence before a connection broke stands for it.
    """
    if case.evidence.has_looked("debug_log"):
        return case.critical_ns(BROKEN)
    return max((_last_silence_ns(one) for one in hurt), default=0)


def _last_silence_ns(connection: Connection) -> int:
    """How long nothing came before the connection broke; 0 where it did not."""
    waited = [pause for pause in connection.pauses if pause.awaited != "client"]
    if not waited:
        return 0
    has_broken = waited[-1].is_unheard or connection.ending == "server_reset"
    return waited[-1].length_ns if has_broken else 0


def _harm(hurt: list[Connection]) -> str:
    """What that did to a run that lost no time to it: a command may fail at once."""
    has_reset = any(one.ending == "server_reset" for one in hurt)
    return f"{' and reset a connection' if has_reset else ''}, and this run did not wait for it"


def _facts(hurt: list[Connection]) -> list[Fact]:
    return [
        Fact(text=f"{one.outline}, {one.ending.replace('_', ' ')}", observer=one.seen_by)
        for one in hurt[:4]
    ]
