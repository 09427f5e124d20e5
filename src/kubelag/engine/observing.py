"""One observed run, and a deeper one where the first leaves too much unexplained."""

from dataclasses import dataclass
from pathlib import Path

from kubelag.causes.contract import NOTABLE_NS, UNEXPLAINED_RATIO, Case, spent_in, unplaced
from kubelag.engine.setting import Setting
from kubelag.kube.redact import outline_argv, redact_argv
from kubelag.launch.waiting import Tick
from kubelag.model.evidence import Evidence
from kubelag.observe import client
from kubelag.observe.machine import machine
from kubelag.observe.recorders import choose
from kubelag.observe.session import Watch, Watched, watch
from kubelag.observe.syscalls import Depth
from kubelag.timeline.attribute import attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a run is watched."""

    depth: Depth = "narrow"
    """Which system calls to watch."""
    show_output: bool = False
    """Let its output through."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors that the command needs."""
    tick: Tick = lambda _elapsed_s: None


def observe(setting: Setting, manner: Manner, *, shown: tuple[str, ...], cold: bool) -> Evidence:
    """Run the command once, watched.

    Args:
        setting: What to run.
        manner: How to watch.
        shown: The command as the user typed it.
        cold: Whether the run has a fresh cache of its own.
    """
    recorder, why_not = choose(manner.depth)
    watched = watch(
        Watch(
            argv=setting.watched_argv(),
            env=setting.env,
            recorder=recorder,
            why_no_recorder=why_not,
            has_debug_log=setting.has_debug_log,
            show_output=manner.show_output,
            before_exec=setting.child.before_exec() if setting.child else None,
            pass_fds=manner.pass_fds,
            tick=manner.tick,
        )
    )
    return _evidence(setting, watched, shown=shown, cold=cold)


def needs_depth(evidence: Evidence) -> bool:
    """Whether so much time has no explanation that every file call is worth its price."""
    attribution = attribute(evidence)
    case = Case(evidence=evidence, attribution=attribution)
    # A file call whose file is not known explains as little as none at all.
    astray = (*unplaced(case, syncs=True), *unplaced(case, syncs=False))
    rest_ns = attribution.unexplained_ns + spent_in(astray)
    return (
        evidence.repeatable
        and evidence.has_looked("syscalls")
        and not evidence.run.interrupted
        and rest_ns > max(NOTABLE_NS, UNEXPLAINED_RATIO * attribution.wall_ns)
    )


def _evidence(
    setting: Setting, watched: Watched, *, shown: tuple[str, ...], cold: bool
) -> Evidence:
    chain = tuple(program for process in watched.processes for program in process.chain)
    config = setting.kubeconfig
    plugin = config.user.exec if config and config.user.auth == "exec" else None
    return Evidence(
        command=_shown(setting, shown),
        cold=cold,
        repeatable=setting.repeatable.is_repeatable,
        repeatable_why=setting.repeatable.why,
        run=watched.run,
        machine=machine(),
        client=client.seen_in_run(setting.client, setting.env, chain, setting.child),
        cache=setting.cache,
        looks=(*watched.looks, *setting.looks),
        syscalls=watched.syscalls,
        processes=watched.processes,
        requests=watched.requests,
        notes=watched.notes,
        tree=watched.tree,
        host=watched.host,
        credential_plugin=Path(plugin.command).name if plugin else None,
    )


def _shown(setting: Setting, argv: tuple[str, ...]) -> tuple[str, ...]:
    """What a report may say of the command: in full only where it is known to carry no data."""
    if setting.repeatable.is_repeatable:
        return redact_argv(argv)
    return outline_argv(argv, is_kubectl=setting.is_kubectl)
