"""The way to the server within one explanation: read before the observed run, probed after it."""

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from kubelag.engine.setting import Setting
from kubelag.errors import UsageError
from kubelag.kube.command import parse_command
from kubelag.model.evidence import Evidence, Look, Request
from kubelag.observe.network_watch import Scope
from kubelag.observe.path import survey
from kubelag.observe.path.backends import checked_backends, stats_socket_of
from kubelag.observe.path.places import is_literal, place
from kubelag.observe.path.survey import Asked, Before
from kubelag.observe.server_probes import Probed, probe_server
from kubelag.observe.socket_samples import Roles

_NO_SERVER = "the command talks to no server that is known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the user says of the way."""

    backends: tuple[str, ...] = ()
    """`HOST:PORT` of each API server behind a balancer."""
    haproxy: Path | None = None
    """An HAProxy's configuration, or its stats socket."""
    captures: bool = True
    """Whether packets may be captured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """One way, with what was read of it before the run."""

    asked: Asked | None = None
    """None where the command talks to no server that is known."""
    earlier: Before = field(default_factory=Before)
    scope: Scope = field(default_factory=Scope)


def road_to(setting: Setting, hints: Hints) -> Road:
    """Look at the way without sending anything.

    Raises:
        UsageError: A backend is not written as `HOST:PORT`, or the HAProxy's file is not there.
    """
    _check(hints)
    config = setting.kubeconfig
    if config is None:
        return Road(scope=Scope(why_no_capture=_NO_SERVER))
    server = _server_of(setting) or config.cluster.server
    asked = Asked(
        kubeconfig=config,
        env=setting.env,
        server=server,
        backends=hints.backends,
        haproxy=hints.haproxy,
    )
    earlier = survey.before(asked)
    return Road(asked=asked, earlier=earlier, scope=_scope(earlier, hints))


def with_path(evidence: Evidence, road: Road) -> Evidence:
    """The evidence, with the way as kubelag's own probes found it after the run."""
    if road.asked is None:
        look = Look(observer=survey.OBSERVER, state="not_asked", how=_NO_SERVER)
        return replace(evidence, looks=(*evidence.looks, look))
    seen = tuple(dict.fromkeys(one.server for one in evidence.connections if one.is_established))
    path, look = survey.after(replace(road.asked, addresses=seen), road.earlier)
    return replace(evidence, path=path, looks=(*evidence.looks, look))


def without_path(evidence: Evidence, why: str) -> Evidence:
    """The evidence, with why the way was not probed."""
    look = Look(observer=survey.OBSERVER, state="not_asked", how=why)
    return replace(evidence, looks=(*evidence.looks, look))


def with_server_probes(evidence: Evidence, setting: Setting, target: Request | None) -> Evidence:
    """The evidence, with what simpler requests took of the server."""
    probes, look = probe_server(Probed(argv=setting.argv, env=setting.env, target=target))
    return replace(evidence, server_probes=probes, looks=(*evidence.looks, look))


def _check(hints: Hints) -> None:
    """What would spoil the probes is said before the command has run, not after it."""
    checked_backends(hints.backends)
    if hints.haproxy is None:
        return
    try:
        is_readable = os.access(hints.haproxy, os.R_OK)
        kind = stat.S_IFMT(hints.haproxy.stat().st_mode)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _unusable(hints.haproxy, (reason or str(error)).lower()) from error
    if kind not in {stat.S_IFREG, stat.S_IFSOCK}:
        raise _unusable(hints.haproxy, "it is neither a file nor a socket")
    if not is_readable:
        raise _unusable(hints.haproxy, "permission denied")


def _unusable(haproxy: Path, why: str) -> UsageError:
    message = f"--haproxy {haproxy} cannot be read ({why})"
    return UsageError(message, "name the balancer's haproxy.cfg, or its stats socket")


def _server_of(setting: Setting) -> str:
    """What the command line says; empty where it leaves that to the kubeconfig."""
    command = parse_command(setting.argv)
    return command.value("server") or command.value("s") or ""


def _scope(earlier: Before, hints: Hints) -> Scope:
    way = earlier.way
    if way is None:
        return Scope(why_no_capture=earlier.why)
    dialled = way.dialled
    port = frozenset({dialled.port})
    timeout_s = earlier.resolver.timeout_s if earlier.resolver else Roles().name_timeout_s
    return Scope(
        ports=port,
        servers=(place(dialled.host, dialled.port),) if is_literal(dialled.host) else (),
        name="" if is_literal(dialled.host) else dialled.host,
        roles=Roles(
            plain_ports=port if not way.server.is_tls and way.proxy is None else frozenset(),
            proxy_ports=port if way.proxy is not None else frozenset(),
            name_timeout_s=timeout_s,
        ),
        stats_socket=stats_socket_of(hints.haproxy),
        why_no_capture="" if hints.captures else "it was not wanted (--no-capture)",
    )
