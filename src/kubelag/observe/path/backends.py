"""Finds the API servers behind a balancer: given, from the cluster, or from an HAProxy.

The object `kubernetes` in the namespace `default` lists every API server by its own address
(client-go and every controller find them there); EndpointSlices came with 1.19 as beta and 1.21,
Endpoints are older.
"""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubelag import __version__
from kubelag.errors import KubelagError, TransportError, UsageError
from kubelag.kube.answers import document_of, error_of
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.kube.connecting import connect
from kubelag.kube.redact import redact_text
from kubelag.kube.session import Ask
from kubelag.kube.shown import without_user
from kubelag.kube.transport.events import no_observer
from kubelag.model.path import Backend
from kubelag.observe.path.balancer import ask_haproxy
from kubelag.observe.path.haproxy_config import backends_behind
from kubelag.observe.path.haproxy_stats import parse_servers_state
from kubelag.observe.path.places import is_literal, place, split_place
from kubelag.observe.path.system_names import addresses_of

PATIENCES_S = (1.0, 2.0, 3.0)
"""For one object of the cluster, try by try: a dead server behind a balancer holds up one
connection of several, and the next meets another. Arbitrary; without it the path is still looked
at."""
_SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
)
_ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
_LONGEST_CONFIG_BYTES = 4 << 20
_MOST_BACKENDS = 64
_API_PORT = 6443
_OK = range(200, 300)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Where backends are looked for."""

    kubeconfig: Kubeconfig = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    port: int
    """On which the front listens."""
    hosts: tuple[str, ...] = ()
    """The server's addresses, where its name has been looked up already: it is not once more, as a
    dead name server would take all the patience there is."""
    given: tuple[str, ...] = ()
    """`HOST:PORT` each, as the user has it."""
    haproxy: Path | None = None
    """A configuration, or a stats socket."""


def find_backends(searched: Searched) -> tuple[tuple[Backend, ...], str]:
    """The backends, and how they were found or why they were not; never raises for what is there.

    What the user gives wins. Otherwise the cluster's own list does, and an HAProxy adds its names
    and states to it, or stands in for it.
    """
    if searched.given:
        return _by_address(_given(searched.given)), "given with --backend"
    listed, why = _by_cluster(searched)
    if searched.haproxy is None:
        return listed, why
    known, said = _by_haproxy(searched.haproxy, searched.port)
    if not listed:
        return _by_address(known), said if known else f"{why}; {said}"
    return _merged(listed, _by_address(known)), f"{why}; {said}"


def stats_socket_of(haproxy: Path | None) -> Path | None:
    """The path, where it is a socket."""
    try:
        is_socket = haproxy is not None and stat.S_ISSOCK(haproxy.stat().st_mode)
    except OSError:
        return None
    return haproxy if is_socket else None


def addresses_of_slices(document: Json, kind: str) -> tuple[str, ...]:
    """The `IP:port` of every API server in an EndpointSliceList, or an Endpoints object.

    Args:
        document: As the server sent it; anything that is not as it must be is passed over.
        kind: `EndpointSliceList` or `Endpoints`.
    """
    if kind == "Endpoints":
        groups = [
            ([_word(one, "ip") for one in _list(subset, "addresses")], subset)
            for subset in _list(document, "subsets")
        ]
    else:
        groups = [
            (
                [str(one) for end in _list(item, "endpoints") for one in _plain(end, "addresses")],
                item,
            )
            for item in _list(document, "items")
        ]
    found = [
        place(address, port)
        for addresses, holder in groups
        for address in addresses
        for port in [_port(holder)]
        if is_literal(address) and 0 < port < 1 << 16
    ]
    return tuple(dict.fromkeys(found))[:_MOST_BACKENDS]


def _given(places: Sequence[str]) -> tuple[Backend, ...]:
    return tuple(
        Backend(name=one, address=one, source="--backend") for one in dict.fromkeys(places)
    )


def _by_address(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    """The same, each with the first address of its name; a name that has none stays."""
    places = [split_place(one.address) for one in backends]
    named = [host for host, _ in places if not is_literal(host)]
    addresses = addresses_of(named) if named else {}
    return tuple(
        replace(one, address=place(addresses[host][0], port)) if addresses.get(host) else one
        for one, (host, port) in zip(backends, places, strict=True)
    )


def _by_cluster(searched: Searched) -> tuple[tuple[Backend, ...], str]:
    if searched.kubeconfig.exec_spec is not None:
        # It would run once more, for as long as a minute, only to ask for a list.
        return (
            (),
            "the cluster was not asked for them, since the user's credential plugin would run",
        )
    why = ""
    servers = _servers(searched)
    for number, patience_s in enumerate(PATIENCES_S):
        try:
            addresses, kind = _asked(searched, servers[number % len(servers)], patience_s)
            break
        except KubelagError as error:
            why = redact_text(error.message)
    else:
        return (), f"the cluster did not tell them: {why}"
    found = tuple(Backend(name=one, address=one, source="endpoints") for one in addresses)
    where = f"the {kind} kubernetes in the namespace default"
    return found, f"from {where}" if found else f"{where} lists none"


def _servers(searched: Searched) -> tuple[Kubeconfig, ...]:
    """The server by each of its addresses, with the certificate's name; as it is, without any."""
    config = searched.kubeconfig
    parts = urlsplit(config.cluster.server)
    name = config.cluster.tls_server_name or parts.hostname or ""
    return tuple(
        config.but(
            cluster=config.cluster.but(
                server=parts._replace(netloc=place(host, searched.port)).geturl(),
                tls_server_name=name,
            )
        )
        for host in searched.hosts
    ) or (config,)


def _asked(
    searched: Searched, config: Kubeconfig, patience_s: float
) -> tuple[tuple[str, ...], str]:
    """The addresses, and which kind of object told them."""
    session = connect(config, searched.env, f"kubelag/{__version__}", no_observer)
    server = without_user(searched.kubeconfig.cluster.server)
    try:
        for path, kind in ((_SLICES, "EndpointSliceList"), (_ENDPOINTS, "Endpoints")):
            answer = session.send(Ask(path=path), patience_s)
            is_last = kind == "Endpoints"
            if answer.status in _OK:
                addresses = addresses_of_slices(document_of(answer, path, server), kind)
                if addresses or is_last:
                    return addresses, kind.removesuffix("List")
            elif is_last:
                raise error_of(answer, "GET", path, server)
    finally:
        session.close()
    raise TransportError(f"{server} was not asked")


def _by_haproxy(path: Path, port: int) -> tuple[tuple[Backend, ...], str]:
    source = stats_socket_of(path)
    try:
        if source is not None:
            return _by_socket(ask_haproxy(source, "show servers state"), path)
        with path.open("rb") as file:
            text = file.read(_LONGEST_CONFIG_BYTES).decode(errors="replace")
    except OSError as error:
        return (), f"{path} cannot be read ({(error.strerror or str(error)).lower()})"
    found = backends_behind(text, port)
    return found, f"{path} has {len(found)} servers behind port {port}"


def _by_socket(text: str, path: Path) -> tuple[tuple[Backend, ...], str]:
    """The socket does not say which port leads where, so that only one section can be meant."""
    rows = parse_servers_state(text)
    sections = dict.fromkeys(section for section, _ in rows)
    likely = [
        one
        for one in sections
        if any(split_place(row.address)[1] == _API_PORT for section, row in rows if section == one)
    ]
    chosen = likely if len(sections) > 1 else list(sections)
    if len(chosen) != 1:
        return (), f"{path} has {len(sections)} sections with servers and does not say which one"
    found = tuple(backend for section, backend in rows if section == chosen[0])
    return found, f"{path} has {len(found)} servers in its section {chosen[0]}"


def _merged(listed: Sequence[Backend], known: Sequence[Backend]) -> tuple[Backend, ...]:
    """The cluster's list by the balancer's names, and what only the balancer has."""
    by_address = {one.address: one for one in known}
    beyond = [one for one in known if one.address not in {each.address for each in listed}]
    return (*(by_address.get(one.address, one) for one in listed), *beyond)


def checked_backends(places: Sequence[str]) -> tuple[str, ...]:
    """What was given with `--backend`, each with a port.

    Raises:
        UsageError: If one is no address with a port.
    """
    try:
        return tuple(place(*split_place(one)) for one in places)
    except UsageError as error:
        raise UsageError(f"--backend: {error.message}", error.next_step) from error


def _list(holder: object, name: str) -> list[Json]:
    return [one for one in _plain(holder, name) if isinstance(one, dict)]


def _plain(holder: object, name: str) -> list[Any]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return found if isinstance(found, list) else []


def _word(holder: Json, name: str) -> str:
    return str(holder.get(name) or "")


def _port(holder: Json) -> int:
    """The port called `https`, or the only one."""
    ports = _list(holder, "ports")
    named = [one for one in ports if one.get("name") == "https"] or ports[:1]
    port = named[0].get("port") if named else None
    return port if isinstance(port, int) and not isinstance(port, bool) else 0
