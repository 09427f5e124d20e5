"""Distance: every frame of one host arrives later, in both directions, in order.

netem is not needed, which some kernels lack: the host's port moves to a bridge of its own, and the
process of `wire` joins the two bridges. When it dies, the host is cut off until `off()` plugs the
port in again. What else was done to the port stays in force.
"""

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.network.impair.cable import BOTH_WAYS, Cable, Spot, ends_of
from kubelag.lab.network.impair.probes import send_segments
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.processes import Identity, end, is_running, last_words, python_argv, spawn
from kubelag.lab.waiting import wait_until

_START_S = 10.0
"""A Python starts in 0.1 s; a loaded machine takes longer. Arbitrary."""
_TOLERANCE_S = 0.01
"""How much later than promised the median frame may come. Arbitrary; measured were 0.0001 s on an
idle machine and 0.0003 s on a busy one."""
_TAP_QUEUE_FRAMES = "10000"
"""A burst that the bridge hands over while Python does something else. Arbitrary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """A host that is far away."""

    cable: Cable
    one_way_s: float
    """Added in each direction; a round trip takes twice as much longer."""
    directory: Path
    """Private, the same for each process that calls us: holds who the wire's process is."""
    marks: Mapping[str, str] = field(repr=False)
    """The ledger's environment, by which the process is found if all else is lost."""

    def on(self) -> None:
        """Put the wire in place; one of another length goes first.

        Raises:
            LabError: It cannot be made here; the cable is as it was.
        """
        self.off()
        make_private_directory(self.directory)
        try:
            self._start()
            self._plug()
        except LabError:
            self.off()
            raise

    def off(self) -> None:
        """End the wire, dead or alive, and plug the host's port into the bridge as it was.

        Raises:
            LabError: The process does not end, or the port is not there.
        """
        if wire := self._wire():
            end([wire])
        self._state.unlink(missing_ok=True)
        links = self._links()
        if links[self.cable.port].get("master") != self.cable.bridge:
            self._ip("set", "dev", self.cable.port, "master", self.cable.bridge)
        if self._far_bridge in links:
            self._ip("del", "dev", self._far_bridge)

    def is_on(self) -> bool:
        """Whether a wire of any length is in place and alive."""
        wire = self._wire()
        if wire is None or not is_running(wire):
            return False
        return self._links()[self.cable.port].get("master") == self._far_bridge

    def see(self, near: Spot, far: Spot) -> str:
        """Send segments in each direction, and time them.

        Raises:
            LabError: They do not come as much later as promised.
        """
        said = []
        for direction in BOTH_WAYS:
            median_s = send_segments(*ends_of(direction, near, far), count=20).median_s
            if median_s is None or not 0 <= median_s - self.one_way_s <= _TOLERANCE_S:
                took = "do not arrive" if median_s is None else f"take {median_s * 1000:.1f} ms"
                raise LabError(
                    f"Frames on {self.cable.name} {took} instead of {self.one_way_s * 1000:g} ms",
                    "look whether the wire's process has a processor to itself",
                )
            said.append(f"{median_s * 1000:.1f} ms {direction.replace('_', ' ')}")
        return f"A segment on {self.cable.name} takes {' and '.join(said)}"

    @property
    def _tap(self) -> str:
        """The wire's end at the bridge."""
        return self._name("wire")

    @property
    def _far_tap(self) -> str:
        """The wire's end at the host."""
        return self._name("tail")

    @property
    def _far_bridge(self) -> str:
        """What joins that end and the host's port."""
        return self._name("far")

    def _name(self, part: str) -> str:
        # Interface names have 15 characters at most; the port's own may have as many.
        return f"{part}{zlib.crc32(self.cable.port.encode()):08x}"

    @property
    def _state(self) -> Path:
        return self.directory / f"{self.cable.lan.name}-{self.cable.port}.json"

    @property
    def _log(self) -> Path:
        return self._state.with_suffix(".log")

    def _wire(self) -> Identity | None:
        """Who it is, or was."""
        try:
            return Identity(**json.loads(self._state.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _start(self) -> None:
        module = python_argv("kubelag.lab.network.impair.wire", self._tap, self._far_tap)
        argv = (*module, str(self.one_way_s), os.fspath(self._state))
        environment = os.environ | self.marks
        wire = spawn(self.cable.lan.argv(argv), log=self._log, environment=environment)
        try:
            wait_until(
                lambda: self._far_tap in self._links() or not is_running(wire),
                timeout_s=_START_S,
                problem=f"{self.cable.name} became no longer",
            )
        except LabError:  # it may not even have written down who it is
            end([wire])
            raise
        if not is_running(wire):
            words = last_words(self._log)
            raise LabError(f"{self.cable.name} became no longer: {words}", f"see {self._log}")

    def _plug(self) -> None:
        """Lay the wire first, then move the port.

        The near TAP has the port's address, so that the bridge, which has the least of its ports',
        keeps its own.
        """
        port = self._links()[self.cable.port]
        bridge = ("type", "bridge", "stp_state", "0", "forward_delay", "0")
        self._ip("add", "name", self._far_bridge, *bridge)
        self._ip("set", "dev", self._far_bridge, "addrgenmode", "none", "up")
        self._ip("set", "dev", self._tap, "address", str(port["address"]))
        for tap, master in ((self._tap, self.cable.bridge), (self._far_tap, self._far_bridge)):
            long = ("mtu", str(port["mtu"]), "txqueuelen", _TAP_QUEUE_FRAMES)
            self._ip("set", "dev", tap, "master", master, *long, "up")
        self._ip("set", "dev", self.cable.port, "master", self._far_bridge)

    def _links(self) -> Mapping[str, Mapping[str, object]]:
        """All links beside the bridge, by name.

        Raises:
            LabError: They cannot be seen, or the port is not among them.
        """
        problem = f"The links of {self.cable.lan.name} cannot be seen"
        listed = json.loads(self.cable.lan.tool("ip", "-j", "link", "show", problem=problem))
        links = {one["ifname"]: one for one in listed}
        if self.cable.port not in links:
            raise LabError(f"{self.cable.lan.name} has no port {self.cable.port}", "kubelag lab up")
        return links

    def _ip(self, *words: str) -> None:
        problem = f"{self.cable.name} cannot be plugged"
        self.cable.lan.tool("ip", "link", *words, problem=problem)
