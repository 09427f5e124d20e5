"""Reads the text of a tracefs `trace_pipe`; pure, and skips what it does not know.

The line format is that of the kernel's trace/ftrace.rst ("Output format"): a program's name in
sixteen columns, thread, processor, flags, seconds and microseconds, event. Newer kernels print
the strings of system calls behind their pointers; older ones print numbers without `0x`.
"""

import errno
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["enter", "exit", "fork", "exec", "end", "connect"]

_HEAD = re.compile(
    r"^(?P<comm>.{16})-(?P<tid>\d{1,10}) +(?:\([ \d-]{7,10}\) )?\[\d+\] \S+ +"
    r"(?P<s>\d{1,12})\.(?P<us>\d{6}): (?P<body>.+)$"
)
_ENTER = re.compile(r"^sys_(?P<name>\w+)\((?P<args>.*)\)$")
_EXIT = re.compile(r"^sys_(?P<name>\w+) -> 0x(?P<result>[0-9a-f]{1,16})$")
_FORK = re.compile(
    r"^task_newtask: pid=(?P<pid>\d{1,10}) comm=.* clone_flags=(?P<flags>[0-9a-f]+) "
)
_EXEC = re.compile(r"^sched_process_exec: filename=(?P<file>.*) pid=\d+ old_pid=(?P<old>\d{1,10})$")
_END = re.compile(r"^sched_process_exit: comm=.* pid=\d+ prio=-?\d+(?: group_dead=(?P<dead>\w+))?$")
_CONNECT = re.compile(
    r"^inet_sock_set_state: family=AF_(?P<family>\w+) .*\bdport=(?P<port>\d+) .*"
    r"\bdaddr=(?P<v4>[\d.]+) .*\bdaddrv6=(?P<v6>[0-9a-f:.]+) .*newstate=TCP_SYN_SENT$"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ERROR_CODE = re.compile(r"error_code: (0x)?([0-9a-f]+)$")
_CLONE_THREAD = 0x10000
_MAX_ERRNO = 4095
# The kernel's own errors, which a signal handler's restart hides from the program
# (include/linux/errno.h); a tracer sees them.
_KERNEL_ERRORS = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    516: "ERESTART_RESTARTBLOCK",
}
_NAMES = {"newstat": "stat", "newlstat": "lstat", "newfstat": "fstat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """One event that matters to us."""

    kind: Kind
    tid: int
    at_ns: int
    """On the trace's own clock."""
    name: str = ""
    """The call's name as strace spells it, for `enter` and `exit`."""
    result: int | None = None
    """Return value of an `exit`; exit code of an `enter` of exit_group."""
    error: str | None = None
    text: str | None = None
    """A path the kernel printed, the program of an `exec`, the `IP:port` of a `connect`."""
    other: int = 0
    """The new task of a `fork`; the thread that called, for an `exec`."""
    is_thread: bool = False
    """For a `fork`: whether the new task is a thread of the same process."""
    is_last: bool = True
    """For an `end`: whether the process ended with it."""


def parse_trace_line(line: str) -> TraceLine | None:
    """The event on one line, None where it is none of ours or damaged.

    Args:
        line: Decoded as Latin-1, so that a program's name fills its columns in characters.
    """
    head = _HEAD.match(line)
    if head is None:
        return None
    tid = int(head["tid"])
    at_ns = int(head["s"]) * 1_000_000_000 + int(head["us"]) * 1_000
    return _call(tid, at_ns, head["body"]) or _task(tid, at_ns, head["body"])


def _call(tid: int, at_ns: int, body: str) -> TraceLine | None:
    if ended := _EXIT.match(body):
        result, error = _outcome(int(ended["result"], 16))
        return TraceLine(
            kind="exit",
            tid=tid,
            at_ns=at_ns,
            name=strace_name(ended["name"]),
            result=result,
            error=error,
        )
    begun = _ENTER.match(body)
    if begun is None:
        return None
    name, args = strace_name(begun["name"]), begun["args"]
    code = _exit_code(args) if name == "exit_group" else None
    quoted = _QUOTED.findall(args)
    text = _utf8(quoted[-1]) if quoted else None
    return TraceLine(kind="enter", tid=tid, at_ns=at_ns, name=name, result=code, text=text)


def _task(tid: int, at_ns: int, body: str) -> TraceLine | None:
    if fork := _FORK.match(body):
        is_thread = bool(int(fork["flags"], 16) & _CLONE_THREAD)
        return TraceLine(
            kind="fork", tid=tid, at_ns=at_ns, other=int(fork["pid"]), is_thread=is_thread
        )
    if run := _EXEC.match(body):
        file = _utf8(run["file"])
        return TraceLine(kind="exec", tid=tid, at_ns=at_ns, text=file, other=int(run["old"]))
    if end := _END.match(body):
        return TraceLine(kind="end", tid=tid, at_ns=at_ns, is_last=end["dead"] in {None, "true"})
    if link := _CONNECT.match(body):
        host = link["v4"] if link["family"] == "INET" else f"[{link['v6']}]"
        return TraceLine(kind="connect", tid=tid, at_ns=at_ns, text=f"{host}:{link['port']}")
    return None


def strace_name(name: str) -> str:
    """The call's name as strace spells it."""
    return _NAMES.get(name, name)


def _utf8(text: str) -> str:
    return text.encode("latin-1", errors="replace").decode(errors="replace")


def _outcome(value: int) -> tuple[int, str | None]:
    """The result as the program sees it (-1 on failure), and the error's symbol."""
    signed = value - (1 << 64) if value >= 1 << 63 else value
    if not -_MAX_ERRNO <= signed < 0:
        return signed, None
    number = -signed
    return -1, _KERNEL_ERRORS.get(number) or errno.errorcode.get(number, f"E{number}")


def _exit_code(args: str) -> int | None:
    """Kernels that print `0x` print small numbers in decimal; those that do not print hexadecimal.

    A code of 10 or more without a letter, on a kernel of the second kind, is read wrongly.
    """
    code = _ERROR_CODE.search(args)
    if code is None:
        return None
    is_hex = bool(code[1]) or not code[2].isdigit()
    return int(code[2], 16 if is_hex else 10) & 0xFF
