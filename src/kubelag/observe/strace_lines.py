"""Reads what `strace -f -ttt -T -y -s 0` prints; pure, and never crashes on a damaged line.

Source of the formats: strace(1), sections "Output format" and "Tracing multiple processes".
"""

import posixpath
import re
from dataclasses import replace

from kubelag.model.evidence import Process, Syscall
from kubelag.observe.lives import Life, processes_of

_HEAD = re.compile(r"^(?P<pid>\d+)\s+(?P<s>\d+)\.(?P<us>\d{6}) (?P<body>.*)$")
_CALL = re.compile(r"^(?P<name>\w+)\((?P<args>.*)$")
_RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<args>.*)$")
_UNFINISHED = " <unfinished ...>"
_RESULT = re.compile(
    r"^(?P<args>.*)\)\s+= (?P<result>-?\d+|0x[0-9a-f]+|\?)(?:<(?P<path>(?:[^>\\]|\\.)*)>)?"
    r"(?: (?P<error>E[A-Z0-9]+))?.*?(?: <(?P<took>\d+\.\d+)>)?$"
)
_FD = re.compile(r"^-?\d+<(?P<path>/(?:[^>\\]|\\.)*)>")
_NAMED = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<dir>(?:[^>\\]|\\.)*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_HOST = re.compile(r'(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")')
_EXIT_CODE = re.compile(r"^exit_group\((-?\d+)\)")

_FORKS = frozenset({"clone", "clone3", "fork", "vfork"})
_ADDRESSED = frozenset({"connect", "sendto", "recvfrom"})
_BOOKKEEPING = _FORKS | {"exit_group"}
# Traced for strace's own sake (`syscalls`), and told to nobody.
_UNTOLD = frozenset({"gettid", "set_robust_list", "rseq"})
_BY_DESCRIPTOR = frozenset(
    {"fsync", "fdatasync", "sync_file_range", "syncfs", "close"}
    | {"getdents64", "fchmod", "write", "pwrite64", "flock"}
)


class TraceParser:
    """Feed it lines in order; take syscalls and processes at the end."""

    def __init__(self) -> None:
        self.syscalls: list[Syscall] = []
        self.bad_lines = 0
        self._pending: dict[int, tuple[str, str, int]] = {}
        self._lives: dict[int, Life] = {}
        self._thread_of: dict[int, int] = {}

    def feed(self, line: str) -> None:
        """Take in one line."""
        if not line.strip():
            return
        head = _HEAD.match(line)
        if head is None:
            self.bad_lines += 1
            return
        at_ns = int(head["s"]) * 1_000_000_000 + int(head["us"]) * 1_000
        pid, body = int(head["pid"]), head["body"]
        if body.startswith(("+++", "---")):
            return
        self._lives.setdefault(pid, Life(pid=pid, start_ns=at_ns))
        self._feed_call(pid, at_ns, body)

    def processes(self) -> tuple[Process, ...]:
        """Every process (threads left out), by start time."""
        lives = {
            pid: replace(life, parent_pid=self._process_of(life.parent_pid))
            for pid, life in self._lives.items()
            if pid not in self._thread_of
        }
        return processes_of(lives, lambda wall_ns: wall_ns)

    def pending_at(self, end_ns: int) -> tuple[Syscall, ...]:
        """Calls that had begun and never ended, cut at `end_ns`: an interrupted run's last word."""
        return tuple(
            Syscall(pid=pid, name=name, start_ns=start_ns, end_ns=end_ns, path=_path(name, args))
            for pid, (name, args, start_ns) in self._pending.items()
            if name not in _BOOKKEEPING | _UNTOLD and start_ns <= end_ns
        )

    def _process_of(self, tid: int | None) -> int | None:
        return None if tid is None else self._thread_of.get(tid, tid)

    def _feed_call(self, pid: int, at_ns: int, body: str) -> None:
        if resumed := _RESUMED.match(body):
            name, args, start_ns = self._pending.pop(pid, (resumed["name"], "", at_ns))
            self._finish(pid, name, args + resumed["args"], start_ns)
            return
        call = _CALL.match(body)
        if call is None:
            self.bad_lines += 1
        elif call["args"].endswith(_UNFINISHED):
            args = call["args"].removesuffix(_UNFINISHED)
            self._pending[pid] = (call["name"], args, at_ns)
        else:
            self._finish(pid, call["name"], call["args"], at_ns)

    def _finish(self, pid: int, name: str, text: str, start_ns: int) -> None:
        end = _RESULT.match(text)
        if end is None:
            self.bad_lines += 1
            return
        if name in _UNTOLD:
            return
        if name in _BOOKKEEPING:
            self._keep_life(pid, name, text, end, start_ns)
            return
        took_ns = round(float(end["took"] or 0) * 1e9)
        path = _path(name, end["args"])
        self.syscalls.append(
            Syscall(
                pid=self._thread_of.get(pid, pid),
                name=name,
                start_ns=start_ns,
                end_ns=start_ns + took_ns,
                path=path,
                result=_number(end["result"]),
                error=end["error"],
                address=_address(end["args"]) if name in _ADDRESSED else None,
            )
        )
        if name.startswith("execve") and end["error"] is None and path:
            self._lives[pid].chain.append(path)

    def _keep_life(self, pid: int, name: str, text: str, end: re.Match[str], at_ns: int) -> None:
        if name == "exit_group":
            code = _EXIT_CODE.match(f"{name}({text}")
            life = self._lives.setdefault(
                self._thread_of.get(pid, pid), Life(pid=pid, start_ns=at_ns)
            )
            life.end_ns, life.exit_code = at_ns, int(code[1]) & 0xFF if code else None
            return
        child = _number(end["result"])
        if child is None or child <= 0:
            return
        if "CLONE_THREAD" in text:
            self._thread_of[child] = self._thread_of.get(pid, pid)
            return
        life = self._lives.setdefault(child, Life(pid=child, start_ns=at_ns))
        life.parent_pid, life.start_ns = pid, min(life.start_ns, at_ns)


def _number(text: str) -> int | None:
    return None if text == "?" else int(text, 0)


def _path(name: str, args: str) -> str | None:
    """The file a call acted on: its descriptor's, or its last named path (a rename's target)."""
    if name in _ADDRESSED or name.startswith("wait"):
        return None
    if name in _BY_DESCRIPTOR:
        descriptor = _FD.match(args)
        return _plain(descriptor["path"]) if descriptor else None
    named = list(_NAMED.finditer(args))
    if not named:
        return None
    chosen = named[0] if name.startswith("execve") else named[-1]
    directory, path = chosen["dir"], _plain(chosen["path"])
    if not directory:
        return path
    return posixpath.join(_plain(directory), path) if path else _plain(directory)


def _plain(text: str) -> str:
    """Undo strace's C escapes; anything that is not valid stays as printed."""
    text = text.removesuffix(" (deleted)")
    if "\\" not in text:
        return text
    try:
        return text.encode("latin-1").decode("unicode_escape").encode("latin-1").decode()
    except UnicodeError:
        return text


def _address(args: str) -> str | None:
    port, host = _PORT.search(args), _HOST.search(args)
    if port is None or host is None:
        return None
    return f"[{host[2]}]:{port[1]}" if host[2] else f"{host[1]}:{port[1]}"
