"""Network namespaces as the lab's hosts. Root is needed; the machine's own network is untouched."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kubelag.errors import LabError
from kubelag.lab.tools import has_tool, run_tool

if TYPE_CHECKING:
    from kubelag.lab.state import Ledger  # which knows how to undo what is made here

_PLACE = Path("/run/netns")
"""Where `ip netns` keeps the names."""
_CLONE_NEWNET = 0x40000000
_CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_USUAL = "cubic", "reno"
"""The kernel's default, and what it always has and lets every namespace choose. Both begin slowly
in the same way (RFC 5681); BBR, which some machines have instead, spreads that over the answer."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """One host: a network namespace with a name."""

    name: str

    @property
    def path(self) -> Path:
        """The file that stands for it."""
        return _PLACE / self.name

    def argv(self, argv: Sequence[str], files: Mapping[str, Path] | None = None) -> tuple[str, ...]:
        """Words that run a program inside; the process becomes the program, with the same pid.

        Args:
            argv: The program, and its arguments.
            files: What the program finds in place of a file, by its absolute path
                (`/etc/resolv.conf`); nobody else sees the exchange.
        """
        enter = ("nsenter", f"--net={self.path}", "--")
        if not files:
            return (*enter, *argv)
        binds = "".join(
            f'mount --bind "${2 * n + 1}" "${2 * n + 2}" && ' for n in range(len(files))
        )
        pairs = [word for place, source in files.items() for word in (os.fspath(source), place)]
        script = f'{binds}shift {len(pairs)} && exec "$@"'
        return (*enter, "unshare", "--mount", "--", "sh", "-c", script, "sh", *pairs, *argv)

    def tool(self, *argv: str, problem: str) -> str:
        """Run a system tool inside, and return what it printed.

        Raises:
            LabError: It is missing, failed or hung; says the problem and the tool's own words.
        """
        return run_tool(self.argv(argv), problem=problem)

    def do(self, action: Callable[[], _T]) -> _T:
        """What an action returns that runs inside: a socket made there stays there for good."""
        return _in_thread(lambda: _entered(self.path, action))


def why_no_namespaces() -> str:
    """Why there can be none here, in one clause; empty where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "nsenter", "unshare") if not has_tool(name)]
    return f"{missing[0]} is not installed" if missing else ""


def make_namespace(ledger: "Ledger", name: str) -> Namespace:
    """A new host without any link but its loopback, which is up.

    Raises:
        LabError: It cannot be made, for example since there is one of that name.
    """
    namespace = Namespace(name=name)
    if namespace.path.exists():
        raise LabError(f"There is a network namespace {name} already", "kubelag lab down")
    ledger.will_make("netns", name=name)
    run_tool(("ip", "netns", "add", name), problem=f"The host {name} cannot be made")
    namespace.tool("ip", "link", "set", "lo", "up", problem=f"{name} has no loopback")
    namespace.do(_send_as_usual)
    return namespace


def _send_as_usual() -> None:
    """As Linux does by default, whatever this machine does, so that faults act alike everywhere."""
    for name in _USUAL:
        with contextlib.suppress(OSError):  # not built in, or the machine's own namespace only
            _CONGESTION_CONTROL.write_text(name)
            return


def remove_namespace(name: str) -> None:
    """Remove it with every link in it; one that is not there is gone already.

    Raises:
        LabError: It does not go.
    """
    if (_PLACE / name).exists():
        run_tool(("ip", "netns", "del", name), problem=f"The host {name} does not go")


def _entered(path: Path, action: Callable[[], _T]) -> _T:
    """Run in a thread that ends after it: threads cannot all go back where they came from."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise LabError(f"{path} cannot be entered: {os.strerror(ctypes.get_errno())}")
    return action()


def _in_thread(action: Callable[[], _T]) -> _T:
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001 - handed on to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    with contextlib.suppress(IndexError):
        raise errors[0]
    return results[0]
