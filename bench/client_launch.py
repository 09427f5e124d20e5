"""Runs one program and prints what it took: wall time, peak memory, exit code, when it ended.

A process of its own, and a small one: what a child is said to have needed at most begins with what
its parent had in memory (Linux, `exec_mmap`), and a benchmark with numpy has more than many
clients. The program's output goes to the two descriptors; ours is for the figures.

    python -I -S bench/client_launch.py OUTPUT_FD ERRORS_FD PROGRAM [ARGUMENT...]
"""

import os
import sys
import time


def main() -> None:
    """Run, wait, tell."""
    output, errors = int(sys.argv[1]), int(sys.argv[2])
    argv = sys.argv[3:]
    actions = [
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, errors, 2),
        (os.POSIX_SPAWN_CLOSE, output),
        (os.POSIX_SPAWN_CLOSE, errors),
    ]
    began_ns = time.perf_counter_ns()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    ended_ns = time.perf_counter_ns()
    print(ended_ns - began_ns, usage.ru_maxrss, os.waitstatus_to_exitcode(status), ended_ns)


if __name__ == "__main__":
    main()
