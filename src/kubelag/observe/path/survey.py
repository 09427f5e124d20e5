"""The path map: what was read before the observed run, and what is probed after it.

Before the run nothing is sent (`reading.before`): a probe would warm what the command finds cold,
and turn a balancer's round robin. After it every stage has its own limit, and all of it a common
one.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from kubelag.kube.redact import redact_text
from kubelag.kube.shown import without_user
from kubelag.model.evidence import Look
from kubelag.model.path import AddressProbe, Backend, NameProbe, PathMap, Resolver
from kubelag.model.units import counted
from kubelag.observe.path.backends import Searched, checked_backends, find_backends
from kubelag.observe.path.order import dial_order, source_by_kernel
from kubelag.observe.path.places import is_literal, place, split_place
from kubelag.observe.path.probing import Limits, Probe
from kubelag.observe.path.reading import (
    Asked,
    Before,
    balancer_now,
    before,
    known_hosts,
    neighbours_now,
)
from kubelag.observe.path.rounds import (
    SMALL_SEGMENT_BYTES,
    Round,
    go_rounds,
    has_stalled,
    is_trusted,
    name_backends,
    rounds_for,
)
from kubelag.observe.path.way import Way

__all__ = ["Asked", "Before", "after", "before"]

OBSERVER = "path"
TOTAL_S = 12.0
"""How long all probes may take together. Arbitrary: a dead path makes the command itself wait for
30 s and more."""
_FRONT_RATIO = 2 / 3
"""Share of the time left that the connections to the front may take: what comes after them needs
the rest. Arbitrary."""
_HEAD_START_S = 1.0
"""How long the search for backends is waited for before the front is tried without knowing their
number. Arbitrary: the search goes through the same front, and hangs where that does."""
_SMALL_S = 2.0
"""How long a stage may take with small segments, which either pass at once or not at all: time for
one lost packet. Arbitrary."""
_DIRECT_TIMES = 2
"""Connections past a proxy, and to each backend: one that finds things cold, and one more."""
_MOST_ADDRESSES = 8
"""Addresses of the name that are tried. Arbitrary; Go tries all of them."""

Found = tuple[tuple[Backend, ...], str]


def after(asked: Asked, earlier: Before) -> tuple[PathMap | None, Look]:
    """Probe the way, stage by stage; None where there is none to probe.

    It takes `TOTAL_S` at the most; what is cut short by that says so in its `error`.
    """
    if earlier.way is None or earlier.resolver is None:
        return None, Look(observer=OBSERVER, state="could_not_look", how=earlier.why)
    began_ns = time.perf_counter_ns()
    try:
        seen, notes = _Survey(asked, earlier, earlier.way, earlier.resolver).run()
    except Exception as error:  # noqa: BLE001 - the runner of this observer; told in the report
        how = redact_text(f"it crashed: {type(error).__name__}: {error}")
        return None, Look(observer=OBSERVER, state="could_not_look", how=how)
    seen = replace(seen, took_ns=time.perf_counter_ns() - began_ns)
    events = len(seen.names) + len(seen.front) + len(seen.small_front) + len(seen.behind)
    how = "; ".join(["kubelag's own probes after the run, without credentials", *notes])
    return seen, Look(observer=OBSERVER, state="looked", how=how, events=events)


class _Survey:
    """The probes after the run, each stage with what the former found."""

    def __init__(self, asked: Asked, earlier: Before, way: Way, resolver: Resolver) -> None:
        self._asked, self._earlier, self._way, self._resolver = asked, earlier, way, resolver
        self._deadline = time.monotonic() + TOTAL_S
        self._notes: list[str] = []

    def run(self) -> tuple[PathMap, list[str]]:
        way, asked = self._way, self._asked
        names = self._names()
        hosts = self._hosts(names)
        searching = _in_background(lambda: find_backends(self._searched(hosts)))
        asked.progress("backends")
        known, _ = self._awaited(searching, _HEAD_START_S)
        asked.progress("addresses")
        front = self._front(hosts, len(known))
        small = self._small(front)
        asked.progress("backends one by one")
        backends, why = self._awaited(searching, self._deadline - time.monotonic())
        behind = self._behind(backends)
        counts, trouble = balancer_now(asked)
        hosts_seen = (*known_hosts(asked, way, self._resolver), *hosts, *_hosts_of(backends))
        neighbours, ignorance = neighbours_now(hosts_seen)
        late = "no time was left for the backends" if backends and not behind else ""
        self._notes += filter(None, (trouble, ignorance, late))
        seen = PathMap(
            server=without_user(asked.server or asked.kubeconfig.cluster.server),
            host=way.server.host,
            port=way.server.port,
            tls_name=way.tls_name,
            is_literal=is_literal(way.server.host),
            resolver=self._resolver,
            names=names,
            proxy=place(way.proxy.host, way.proxy.port) if way.proxy else "",
            proxy_source=way.proxy_source,
            addresses=hosts if way.proxy is None else self._direct(),
            front=name_backends(front, behind, backends),
            small_front=name_backends(small, behind, backends),
            backends=backends,
            backends_why="; ".join(filter(None, (why, _shared(behind, backends)))),
            behind=behind,
            neighbours=(*self._earlier.neighbours, *neighbours),
            balancer=(*self._earlier.balancer, *counts),
        )
        return seen, self._notes

    def _searched(self, hosts: tuple[str, ...]) -> Searched:
        """By address where a name was looked up here; a proxy looks it up for itself."""
        asked, way = self._asked, self._way
        is_named = way.proxy is None and not is_literal(way.server.host)
        config = asked.kubeconfig
        if asked.server:
            # Never the kubeconfig's own, which the command does not talk to.
            config = config.but(cluster=config.cluster.but(server=asked.server))
        return Searched(
            kubeconfig=config,
            env=asked.env,
            port=way.server.port,
            hosts=hosts if is_named else (),
            given=checked_backends(asked.backends),
            haproxy=asked.haproxy,
        )

    def _awaited(self, searching: "Future[Found]", limit_s: float) -> Found:
        """What the search has found, if it comes to an end in this time."""
        try:
            return searching.result(max(0.0, limit_s))
        except TimeoutError:
            return (), "the search for them took too long"

    def _names(self) -> tuple[NameProbe, ...]:
        host = self._way.dialled.host
        if is_literal(host) or self._resolver.hosts_file:
            return ()
        self._asked.progress("names")
        # 30 ms of loading that a literal address does without.
        from kubelag.observe.path.questions import ask_all  # noqa: PLC0415 - as said

        return ask_all(host, self._resolver)

    def _hosts(self, names: Sequence[NameProbe]) -> tuple[str, ...]:
        """The addresses of what is dialled, in Go's order."""
        host = self._way.dialled.host
        if is_literal(host):
            return (host,)
        if self._resolver.hosts_file:
            return dial_order(self._resolver.hosts_file, source_by_kernel)
        found = [one for kind in ("A", "AAAA") for probe in names for one in _of(probe, kind)]
        return dial_order(found, source_by_kernel)

    def _direct(self) -> tuple[str, ...]:
        """The server's addresses past the proxy, as far as no name server needs to be asked."""
        host = self._way.server.host
        return (host,) if is_literal(host) else ()

    def _front(self, hosts: Sequence[str], backends: int) -> tuple[AddressProbe, ...]:
        now_s = time.monotonic()
        limits = Limits(deadline_s=now_s + _FRONT_RATIO * (self._deadline - now_s))
        times = rounds_for(backends)
        if len(hosts) > _MOST_ADDRESSES:
            self._notes.append(f"{len(hosts) - _MOST_ADDRESSES} more addresses were not tried")
        wanted = [
            Round(probe=self._probe(host, limits), times=times) for host in hosts[:_MOST_ADDRESSES]
        ]
        if self._way.proxy is not None:
            wanted += [
                Round(probe=self._straight(host, limits), times=_DIRECT_TIMES)
                for host in self._direct()
            ]
        return go_rounds(wanted)

    def _small(self, front: Sequence[AddressProbe]) -> tuple[AddressProbe, ...]:
        """Where something stalls: the same once more, in packets that pass everywhere."""
        stalled = {(one.address, one.hop) for one in front if has_stalled(one)}
        if not stalled:
            return ()
        self._asked.progress("small packets")
        limits = Limits(tls_s=_SMALL_S, answer_s=_SMALL_S, deadline_s=self._deadline)
        wanted = []
        for address, hop in sorted(stalled):
            there = [one for one in front if (one.address, one.hop) == (address, hop)]
            is_mixed = any(one.answer_ns is not None for one in there)
            host = split_place(address)[0]
            probe = (self._probe if hop != "front" or not self._way.proxy else self._straight)(
                host, limits
            )
            probe = replace(
                probe, segment_limit_bytes=SMALL_SEGMENT_BYTES, is_verified=is_trusted(there)
            )
            wanted.append(Round(probe=probe, times=len(there) if is_mixed else _DIRECT_TIMES))
        return go_rounds(wanted)

    def _behind(self, backends: Sequence[Backend]) -> tuple[AddressProbe, ...]:
        limits = Limits(deadline_s=self._deadline)
        server = self._way.server
        names = {backend.address: backend.name for backend in backends}
        probes = go_rounds(
            [
                Round(
                    probe=Probe(
                        address=backend.address,
                        hop="backend",
                        server=server,
                        tls=self._way.tls,
                        limits=limits,
                    ),
                    times=_DIRECT_TIMES,
                )
                for backend in backends
            ]
        )
        return tuple(replace(one, backend=names.get(one.address, "")) for one in probes)

    def _probe(self, host: str, limits: Limits) -> Probe:
        """The way that the client takes, by this address."""
        way = self._way
        return Probe(
            address=place(host, way.dialled.port),
            hop="proxy" if way.proxy else "front",
            server=way.server,
            proxy=way.proxy,
            tls=way.tls,
            limits=limits,
        )

    def _straight(self, host: str, limits: Limits) -> Probe:
        """The same past the proxy."""
        port = self._way.server.port
        return replace(
            self._probe(host, limits), address=place(host, port), hop="front", proxy=None
        )


def _in_background(
    search: Callable[[], Found],
) -> "Future[Found]":
    """A search that nobody has to wait for: it ends by its own limits."""
    found: Future[Found] = Future()

    def run() -> None:
        try:
            found.set_result(search())
        except BaseException as error:  # noqa: BLE001 - handed on to the thread that waits
            found.set_exception(error)

    threading.Thread(target=run, name="backends", daemon=True).start()
    return found


def _of(probe: NameProbe, kind: str) -> tuple[str, ...]:
    return probe.addresses if probe.kind == kind else ()


def _shared(behind: Sequence[AddressProbe], backends: Sequence[Backend]) -> str:
    """Why certificates do not name the backends, where they do not."""
    shown: dict[str, set[str]] = {}
    for probe in behind:
        if probe.certificate is not None:
            shown.setdefault(probe.certificate.sha256, set()).add(probe.address)
    most = max(shown.values(), key=len, default=set())
    if len(most) < 2:  # noqa: PLR2004 - one is not shared
        return ""
    whose = "all" if len(most) == len(backends) else counted(len(most), "of them", "of them")
    return f"{whose} show the same certificate, so that it does not tell them apart"


def _hosts_of(backends: Sequence[Backend]) -> tuple[str, ...]:
    hosts = (split_place(one.address)[0] for one in backends)
    return tuple(one for one in hosts if is_literal(one))
