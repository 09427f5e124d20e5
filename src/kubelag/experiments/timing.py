"""Runs one variant unobserved, and times it."""

import subprocess
import time
from dataclasses import dataclass

from kubelag.experiments.contract import Variant
from kubelag.experiments.scratch import Scratch
from kubelag.kube.command import with_global_flags
from kubelag.launch.ending import end_tree
from kubelag.launch.waiting import Tick, wait_exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How one run went."""

    wall_ns: int
    exit_code: int


def run_timed(variant: Variant, scratch: Scratch, tick: Tick) -> Timed:
    """Run it once with its own cache; `tick` hears the elapsed seconds ten times a second.

    Raises:
        NotApplicableError: Where its cache directory cannot be made.
    """
    return _spawn(argv_in_place(variant, scratch), variant, tick)


def argv_in_place(variant: Variant, scratch: Scratch) -> tuple[str, ...]:
    """The variant's words with a cache of its own, on a disk that owes nothing to earlier runs.

    Raises:
        NotApplicableError: Where its cache directory cannot be made.
    """
    directory = scratch.place(
        variant.cache,
        server=variant.cache_server,
        stubs=variant.stubs,
        fills_gaps=variant.fills_gaps,
    )
    argv = variant.argv
    if directory is not None:
        argv = with_global_flags(argv, {"--cache-dir": str(directory)})
    scratch.settle(scratch.same_file_system())
    return argv


def _spawn(argv: tuple[str, ...], variant: Variant, tick: Tick) -> Timed:
    start_ns = time.perf_counter_ns()
    with subprocess.Popen(
        argv,
        env=dict(variant.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=variant.pass_fds,
        preexec_fn=variant.child.before_exec(),  # noqa: PLW1509 - no other thread runs meanwhile
    ) as process:
        try:
            wait_exit(process.pid, tick)
        except BaseException:
            end_tree(process.pid)
            raise
        return Timed(wall_ns=time.perf_counter_ns() - start_ns, exit_code=process.wait())
