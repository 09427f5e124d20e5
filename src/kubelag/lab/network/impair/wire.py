"""A long wire in user space: frames that go in at one end come out at the other a while later.

Runs as a process of its own in the bridge's namespace, `python -m kubelag.lab.network.impair.wire
NEAR_TAP FAR_TAP DELAY_S STATE`, until it is ended; its end takes both TAPs away. They hand over
frames with a virtio header, so that a frame of 64 KiB, or one whose checksum the sender left to the
card, arrives as it was sent.

Sources: `Documentation/networking/tuntap.rst` and `linux/if_tun.h`.
"""

import argparse
import contextlib
import fcntl
import gc
import json
import os
import select
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from kubelag.lab.private_files import write_private
from kubelag.lab.processes import identity_of

_FRAME_BYTES = 10 + 18 + (1 << 16)
"""virtio header, Ethernet header with a tag, and the longest that a device hands over."""
_QUEUE_BYTES = 64 << 20
"""What may be on its way in each direction; more is lost. 5 s at 100 Mbit/s. Arbitrary."""
_BATCH = 64
"""How many frames are taken from one end before the other has its turn. Arbitrary."""
_PRIORITY = 1
"""The lowest of those that come before every ordinary process."""
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_TSO6, _TUN_F_TSO_ECN = 1, 2, 4, 8


class Lane:
    """One direction: what was read at one end, and when it is due at the other."""

    def __init__(self, source: int, target: int, delay_ns: int) -> None:
        self.source = source
        self._target = target
        self._delay_ns = delay_ns
        self._queue: deque[tuple[int, bytes]] = deque()
        self._queued_bytes = 0

    @property
    def due_ns(self) -> int | None:
        """When the next frame comes out; None for an empty wire."""
        return self._queue[0][0] if self._queue else None

    def take(self) -> None:
        """Read what has come; one time for all, since they came while we looked away."""
        due_ns = time.monotonic_ns() + self._delay_ns
        # OSError: nothing more to read, or a frame that no virtio header can describe.
        with contextlib.suppress(OSError):
            for _ in range(_BATCH):
                frame = os.read(self.source, _FRAME_BYTES)
                if self._queued_bytes + len(frame) <= _QUEUE_BYTES:
                    self._queue.append((due_ns, frame))
                    self._queued_bytes += len(frame)

    def give(self, now_ns: int) -> None:
        """Write what is due; what the other end has no room for is lost, as on a wire."""
        while self._queue and self._queue[0][0] <= now_ns:
            _, frame = self._queue.popleft()
            self._queued_bytes -= len(frame)
            with contextlib.suppress(OSError):
                os.write(self._target, frame)


def carry(lanes: Sequence[Lane]) -> None:
    """Carry frames for ever; sleeps while there is none."""
    by_source = {lane.source: lane for lane in lanes}
    while True:
        # select(2) has a timeout in microseconds; poll(2) and epoll only in milliseconds.
        readable, _, _ = select.select(list(by_source), (), (), _wait_s(lanes))
        for source in readable:
            by_source[source].take()
        now_ns = time.monotonic_ns()
        for lane in lanes:
            lane.give(now_ns)


def open_tap(name: str) -> int:
    """A TAP that goes with its descriptor."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(end, _TUNSETOFFLOAD, _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN)
    return end


def _wait_s(lanes: Sequence[Lane]) -> float | None:
    due = [one for lane in lanes if (one := lane.due_ns) is not None]
    return max(0.0, (min(due) - time.monotonic_ns()) / 1e9) if due else None


def _be_punctual() -> None:
    """Before ordinary processes have their turn, where that is permitted; no pause for garbage."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    gc.disable()  # nothing here is cyclic


def main() -> None:
    """Write down who we are, then carry until we are ended."""
    parser = argparse.ArgumentParser(prog="python -m kubelag.lab.network.impair.wire")
    parser.add_argument("near_tap")
    parser.add_argument("far_tap")
    parser.add_argument("delay_s", type=float)
    parser.add_argument("state", type=Path)
    args = parser.parse_args()
    if ourselves := identity_of(os.getpid()):
        write_private(args.state, json.dumps(asdict(ourselves)))
    _be_punctual()
    delay_ns = round(args.delay_s * 1e9)
    near, far = open_tap(args.near_tap), open_tap(args.far_tap)
    carry((Lane(near, far, delay_ns), Lane(far, near, delay_ns)))


if __name__ == "__main__":
    main()
