"""A capture of our own: tcpdump with a narrow filter, into memory, never onto a disk."""

import io
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from kubelag.errors import CaptureError
from kubelag.model.evidence import Look
from kubelag.observe.capture.tcpdump import MAX_BYTES, Keeper, Kept, Said
from kubelag.observe.capture.wanted import CaptureSeen, Wanted

SNAPLEN = 512
"""A UDP answer of DNS is at most that long without EDNS; headers and the begin of the hellos fit.
Bodies do not, but the first bytes of a plain request may: nothing of them is kept."""
_BUFFER_KIB = 16_384
"""The kernel's buffer; 30,000 packets of our length."""
_START_S = 5.0
"""tcpdump listens after 0.1 s; more means that it will not. Arbitrary."""
_DRAIN_S = 1.0
"""At most, until our own last packet has come through."""


class LiveCapture:
    """Captures from `start` to `stop`.

    Args:
        servers: `IP:port` of those that are known already.
        ports: Where those listen whose addresses are not known yet.
        interface: `any`, or one of them.
        wanted: What is read of it in the end; all that was captured by default.
        enter: Words before tcpdump's own, such as those that enter a network namespace.
    """

    def __init__(
        self,
        *,
        servers: Collection[str] = (),
        ports: Collection[int] = (),
        interface: str = "any",
        wanted: Wanted | None = None,
        enter: Sequence[str] = (),
    ) -> None:
        self._wanted = wanted or Wanted()
        self._argv = [*enter, *tcpdump_argv(interface, filter_of(servers, ports, self._wanted))]
        self._keeper: Keeper | None = None
        self._said: Said | None = None
        self._kept: Kept | None = None

    def start(self) -> None:
        """Begin; what crosses after this returns is seen.

        Raises:
            CaptureError: tcpdump is missing, or may not capture; nothing is left behind.
        """
        if shutil.which("tcpdump") is None:
            raise CaptureError("tcpdump is not installed; install the package tcpdump")
        try:
            keeper = Keeper(self._argv, subprocess.PIPE)
        except OSError as error:
            raise CaptureError(f"tcpdump cannot be started: {error.strerror}") from error
        self._keeper = keeper
        self._said, self._kept = Said(keeper.process), Kept(keeper.process)
        try:
            is_listening = self._said.wait_listening(time.monotonic() + _START_S)
        except BaseException:
            keeper.end()
            raise
        if not is_listening:
            keeper.end()
            self._keeper = None
            raise CaptureError(f"tcpdump does not capture: {self._said.last_line()}")

    def stop(self) -> tuple[CaptureSeen, Look]:
        """End it, and read what was captured.

        Raises:
            CaptureError: It was not started, or nothing came of it.
        """
        keeper, said, kept = self._keeper, self._said, self._kept
        if keeper is None or said is None or kept is None:
            raise CaptureError("The capture was not started")
        self._keeper = None
        ending = threading.Thread(target=_end, args=(keeper, kept), name="capture-end")
        ending.start()
        try:
            # It takes as long to load as tcpdump takes to end, and the command is over.
            from kubelag.observe.capture.reading import read_packets  # noqa: PLC0415 - as said
        finally:
            ending.join()
        raw, missed_bytes = kept.finish()
        lost = said.dropped()
        if not raw:
            raise CaptureError(f"tcpdump captured nothing: {said.last_line()}")
        seen = _completed(read_packets(io.BytesIO(raw), self._wanted), lost, missed_bytes)
        look = Look(
            observer="capture",
            state="looked",
            how=f"tcpdump, the first {SNAPLEN} bytes of each packet",
            events=seen.file.packets,
            lost=lost,
        )
        return seen, look


def _end(keeper: Keeper, kept: Kept) -> None:
    try:
        kept.wait_quiet(time.monotonic() + _DRAIN_S)
    finally:
        keeper.end()


def tcpdump_argv(interface: str, expression: str) -> list[str]:
    """Tcpdump taking each packet at once, writing them by the block, and staying who it is.

    To write each at once (`-U`) would wake us for every packet: 2 % of a short command's time.
    """
    argv = ["tcpdump", "-i", interface, "-n", "-p", "--immediate-mode"]
    argv += ["-s", str(SNAPLEN), "-B", str(_BUFFER_KIB), "-w", "-"]
    if os.geteuid() == 0:
        argv += ["-Z", "root"]  # it would become another user, who may be unknown here
    return [*argv, expression]


def filter_of(servers: Collection[str], ports: Collection[int], wanted: Wanted) -> str:
    """Only these endpoints, questions to name servers, and errors of routers."""
    parts = [f"tcp port {port}" for port in sorted(ports)]
    for server in sorted(servers):
        host, _, port = server.rpartition(":")
        parts.append(f"(host {host.strip('[]')} and tcp port {port})")
    parts += [f"port {port}" for port in sorted(wanted.name_server_ports)]
    parts += ["(icmp and icmp[0] != 0 and icmp[0] != 8)", "(icmp6 and ip6[40] < 128)"]
    return " or ".join(parts)


def _completed(seen: CaptureSeen, lost: int, missed_bytes: int) -> CaptureSeen:
    """With what only tcpdump and we know."""
    notes = list(seen.file.notes)
    if missed_bytes:
        notes.append(f"Only its first {MAX_BYTES >> 20} MiB were kept")
    file = replace(seen.file, name="live", lost_packets=lost, notes=tuple(notes))
    return replace(seen, file=file)
