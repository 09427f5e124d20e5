"""A private tracefs instance that disappears with us, however we end.

The file system is mounted detached (fsopen, fsmount; Linux 5.2): only our descriptor leads to it,
nobody else's view of the machine changes, and it is gone when the descriptor is. The instance is
the kernel's, so a janitor removes it: a shell that waits for the end of a pipe whose other end
only we hold, and which a kill -9 closes too. Where even that fails (power, the whole control
group killed), the next start removes what a dead process left.
"""

import contextlib
import ctypes
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

_PREFIX = "kubelag-"
_NAME = re.compile(rf"^{_PREFIX}(\d+)-[0-9a-f]+$")
# The same on every architecture but alpha (include/uapi/asm-generic/unistd.h).
_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
_CLOEXEC = 1
_CMD_CREATE = 6
_USUAL_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
# The kernel refuses to remove an instance while a reader of ours is still being torn down.
_JANITOR = """
read -r _
for attempt in 1 2 3 4 5 6 7 8 9; do
  [ -d "$1" ] || exit 0
  rmdir "$1" || sleep 0.2
done
"""
_JANITOR_TIMEOUT_S = 5.0
_REMOVE_ATTEMPTS = 20
_REMOVE_PAUSE_S = 0.01


class TracefsRoot:
    """The top of tracefs, reached through a descriptor of our own; close it after use."""

    def __init__(self) -> None:
        self.fd = _open_root()
        self.path = Path(f"/proc/self/fd/{self.fd}")

    def close(self) -> None:
        """Let go; a detached mount is gone with this."""
        os.close(self.fd)

    def has_event(self, event: str) -> bool:
        """Whether the kernel knows `system:name`."""
        return (self.path / "events" / event.replace(":", "/")).is_dir()

    def remove_stale(self) -> None:
        """Remove instances whose process is dead; one in use refuses and stays."""
        for name in os.listdir(self.path / "instances"):  # noqa: PTH208 - names, not paths
            match = _NAME.match(name)
            if match and not Path(f"/proc/{match[1]}").exists():
                with contextlib.suppress(OSError):
                    (self.path / "instances" / name).rmdir()


class Instance:
    """One instance with its janitor; `remove` it after use.

    Args:
        root: Stays open for as long as the instance lives.
    """

    def __init__(self, root: TracefsRoot) -> None:
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self.path = root.path / "instances" / name
        self._janitor = _start_janitor(root, self.path)
        try:
            self.path.mkdir()
        except OSError:
            self._dismiss_janitor()
            raise

    def write(self, name: str, text: str) -> None:
        """Set one of the instance's files."""
        with (self.path / name).open("w", encoding="utf-8") as file:
            file.write(text)

    def enable(self, events: Iterable[str]) -> None:
        """Switch on events given as `system:name`, all of which must exist."""
        self.write("set_event", "".join(f"{event}\n" for event in events))

    def lost_events(self) -> int:
        """How many events were overwritten or dropped before they were read."""
        files = (self.path / "per_cpu").glob("cpu*/stats")
        return sum(parse_lost(file.read_text(encoding="utf-8")) for file in files)

    def remove(self) -> None:
        """Switch everything off and remove the instance; the janitor retries what fails here."""
        with contextlib.suppress(OSError):
            self.write("tracing_on", "0")
            self.write("set_event", "")
        for _ in range(_REMOVE_ATTEMPTS):
            if self._is_removed():
                break
            time.sleep(_REMOVE_PAUSE_S)
        self._dismiss_janitor()

    def _is_removed(self) -> bool:
        with contextlib.suppress(OSError):
            self.path.rmdir()
        return not self.path.exists()

    def _dismiss_janitor(self) -> None:
        if self._janitor.stdin is not None:
            self._janitor.stdin.close()
        try:
            self._janitor.wait(timeout=_JANITOR_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._janitor.kill()
            self._janitor.wait()


def parse_lost(stats: str) -> int:
    """Overwritten, uncommitted and dropped events in one per_cpu/cpu<n>/stats."""
    lost = 0
    for line in stats.splitlines():
        name, _, value = line.partition(":")
        if name in {"overrun", "commit overrun", "dropped events"} and value.strip().isdecimal():
            lost += int(value)
    return lost


def _start_janitor(root: TracefsRoot, path: Path) -> subprocess.Popen[bytes]:
    """Its own session, so that Ctrl-C does not end it before its work is done."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _JANITOR, "kubelag-janitor", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(root.fd,),
        start_new_session=True,
        cwd="/",
    )


def _open_root() -> int:
    try:
        return _mount_detached()
    except OSError:
        for place in _USUAL_PLACES:
            if (place / "instances").is_dir():
                return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        raise


def _mount_detached() -> int:
    context = _syscall(_SYS_FSOPEN, b"tracefs", _CLOEXEC)
    try:
        _syscall(_SYS_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        return _syscall(_SYS_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
