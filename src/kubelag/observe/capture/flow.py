"""What is known of one connection while its capture is read: all that is rare."""

from dataclasses import dataclass, field

from kubelag.model.network import Ending
from kubelag.observe.capture.expecting import Silent
from kubelag.observe.capture.greeting import Greeting
from kubelag.observe.capture.holes import Holes

MAX_PAUSES = 1024
"""Of one connection; a command has few. Arbitrary."""
_MAX_MACS = 16


@dataclass(slots=True, kw_only=True)
class Flow:
    """One connection; sides are 0 for the client and 1 for the server."""

    client: str
    server: str
    syn_seq: int | None = None
    """Sequence number of the client's SYN, also where only its answer was seen."""
    syn_ns: int | None = None
    last_syn_ns: int | None = None
    established_ns: int | None = None
    syns: int = 0
    ending: Ending = "open"
    ended_ns: int | None = None
    """First FIN or reset of either side."""
    fins: list[bool] = field(default_factory=lambda: [False, False])
    again: list[int] = field(default_factory=lambda: [0, 0])
    """Segments with payload that were sent again."""
    largest_again: int = 0
    zero_windows: int = 0
    closed_ns: list[int | None] = field(default_factory=lambda: [None, None])
    """Since when a side's window has been closed."""
    rtt_ns: int | None = None
    limit: int | None = None
    is_reachable: bool = True
    macs: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    """Of the server's side: where packets were sent to, where they came from."""
    holes: tuple[Holes, Holes] = field(default_factory=lambda: (Holes(), Holes()))
    greeting: Greeting = field(default_factory=Greeting)
    silences: list[Silent] = field(default_factory=list)
    is_cut: bool = False
    """Whether there were more silences than are kept."""

    def heard_mac(self, direction: int, mac: int) -> None:
        """The server's side had this hardware address."""
        known = self.macs[direction]
        if mac and (not known or known[-1] != mac) and len(known) < _MAX_MACS:
            known.append(mac)

    def measured(self, rtt_ns: int) -> None:
        """One round trip took so long."""
        if rtt_ns >= 0:
            self.rtt_ns = rtt_ns if self.rtt_ns is None else min(self.rtt_ns, rtt_ns)

    def silent(self, one: Silent) -> None:
        """There was a silence; not where the connection was at its end."""
        if self.ended_ns is not None and one.start_ns >= self.ended_ns:
            return
        if len(self.silences) < MAX_PAUSES:
            self.silences.append(one)
        else:
            self.is_cut = True
