"""Runs one command with its disk syncs turned into no-ops: the run-time form of the fix.

kubectl 1.24 and older writes its HTTP cache with an fsync per entry, under one lock. The release
that fixed it stopped syncing. This launcher gives an old binary the same behaviour: a seccomp
filter answers fsync, fdatasync, sync_file_range, syncfs and sync with success at once, for this
process tree and nobody else.

What it does not do, and what it breaks:

- **A crash may lose or truncate files** that the command wrote shortly before. Fine for caches,
  which is why only commands known to write nothing but caches are accepted.
- **The filter cannot look behind file descriptors**: fsync(-1) succeeds too.
- **Not covered**: files opened with O_SYNC or O_DSYNC, msync, io_uring, and file systems that
  flush when a file is closed (NFS, some FUSE).
- **Other architectures in the same tree** (i386 or x32 programs on x86_64) sync as ever.
- **It cannot be taken off** the process tree, and without CAP_SYS_ADMIN it sets no_new_privs:
  setuid helpers below it, `sudo` for one, fail.
- Under `strace --seccomp-bpf` the answered calls are not seen at all; plain strace sees them.

Sources: seccomp(2); systemd.exec(5) `SuppressSync=`; kubernetes/kubernetes#110851 (the fix).
"""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from kubelag.errors import CommandNotExecutableError, CommandNotFoundError
from kubelag.launch.seccomp import install, no_sync_program

# Python ignores these; the command must find them as a shell would leave them.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def exec_no_sync(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Become the command, with the filter on; exit code, signals and streams are all its own.

    Raises:
        SeccompError: Where no filter can be set; nothing ran.
        CommandNotFoundError: Where there is no such command.
        CommandNotExecutableError: Where it may not be run.
    """
    install(no_sync_program())
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 -- becoming the command is the point
    except FileNotFoundError as error:
        raise CommandNotFoundError(
            f"{argv[0]}: command not found", "check the spelling, or give its full path"
        ) from error
    except OSError as error:
        raise CommandNotExecutableError(
            f"{argv[0]}: cannot be run: {error.strerror}", "check its permissions and its format"
        ) from error


def environment_as_started(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what Python itself put into it.

    In the C locale Python sets LC_CTYPE for its children (PEP 538); the kernel still shows what the
    process was started with.
    """
    try:
        started = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(env)
    names = {entry.partition(b"=")[0] for entry in started.split(b"\0")}
    return {name: text for name, text in env.items() if name != "LC_CTYPE" or b"LC_CTYPE" in names}
