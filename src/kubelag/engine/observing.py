"""One observed run, and a deeper one where the first leaves too much unexplained."""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from kubelag.causes.contract import NOTABLE_NS, UNEXPLAINED_RATIO, Case, spent_in, unplaced
from kubelag.engine.setting import Setting
from kubelag.kube.redact import REDACTED, outline_argv, redact_argv
from kubelag.launch.waiting import Tick
from kubelag.model.evidence import Evidence, Request
from kubelag.observe import client, own_request
from kubelag.observe.machine import machine
from kubelag.observe.network_watch import NetworkWatch
from kubelag.observe.recorders import choose
from kubelag.observe.session import Watch, Watched, watch
from kubelag.observe.syscalls import Depth
from kubelag.timeline.attribute import attribute
from kubelag.timeline.factors import DISCOVERY, TARGET
from kubelag.timeline.spans import is_discovery

# Answers that do not end by themselves, and parts of lists, whose token may be too old by now.
_NOT_ONCE_MORE = frozenset({"watch", "follow", "continue"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a run is watched."""

    depth: Depth = "narrow"
    """Which system calls to watch."""
    show_output: bool = False
    """Let its output through."""
    network: NetworkWatch | None = None
    """Watches the network for this one run; None for nothing of it."""
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
            network=manner.network,
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


def is_slow_server(evidence: Evidence) -> bool:
    """Whether waiting for answers took so long that simpler requests are worth their price."""
    case = Case(evidence=evidence, attribution=attribute(evidence))
    return case.is_waited_for(DISCOVERY, TARGET)


def target_of(evidence: Evidence) -> Request | None:
    """The request for an object or a list that took longest, if it can be sent as it was."""
    asked = [request for request in evidence.requests if _is_target(request)]
    return max(asked, key=lambda one: one.end_ns - one.start_ns, default=None)


def with_own_request(setting: Setting, evidence: Evidence, request: Request) -> Evidence:
    """The evidence, with what that request took kubelag's own client."""
    asking = own_request.Asking(argv=setting.argv, env=setting.env, request=request)
    seen, look = own_request.ask(asking)
    return replace(evidence, own_request=seen, looks=(*evidence.looks, look))


def without_own_request(evidence: Evidence, why: str) -> Evidence:
    """The evidence, with why kubelag's own client was not asked to send anything."""
    return replace(evidence, looks=(*evidence.looks, own_request.not_asked(why)))


def _is_target(request: Request) -> bool:
    """Whether it reads an object or a list, and is known to the letter."""
    url = urlsplit(request.url)
    return (
        request.verb == "GET"
        and request.status is not None
        and not is_discovery(request.url)
        and not url.path.endswith("/log")
        and not _NOT_ONCE_MORE & set(parse_qs(url.query, keep_blank_values=True))
        and REDACTED not in request.url
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
        lookups=watched.network.lookups,
        connections=tuple(
            one.waited_until(watched.run.end_ns) for one in watched.network.connections
        ),
        neighbours=watched.network.neighbours,
        messages=watched.network.messages,
        captures=watched.network.captures,
        credential_plugin=Path(plugin.command).name if plugin else None,
    )


def _shown(setting: Setting, argv: tuple[str, ...]) -> tuple[str, ...]:
    """What a report may say of the command: in full only where it is known to carry no data."""
    if setting.repeatable.is_repeatable:
        return redact_argv(argv)
    return outline_argv(argv, is_kubectl=setting.is_kubectl)
