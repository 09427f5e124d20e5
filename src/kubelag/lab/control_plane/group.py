"""Several API servers of one cluster, each on a host of its own: all under one authority."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgspec

from kubelag.errors import LabError
from kubelag.lab.control_plane import certificates, embedded, envtest, group_envtest
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.client import AdminClient
from kubelag.lab.control_plane.handle import ControlPlane, Kind, attach, save
from kubelag.lab.control_plane.kubeconfigs import User, write_kubeconfig, write_kubeconfigs
from kubelag.lab.control_plane.options import (
    SETTINGS_FILE,
    ControlPlaneOptions,
    ServerSettings,
)
from kubelag.lab.control_plane.places import Place, check_places
from kubelag.lab.control_plane.readiness import wait_ready
from kubelag.lab.control_plane.tokens import create_tokens, write_tokens
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.processes import Identity, end

__all__ = ["Group", "Place", "attach_group", "start_group"]

STATE_FILE = "group.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The servers of one cluster; they outlive the process that started them."""

    kind: Kind
    directory: Path
    """Private (0700); each server has its own below it."""
    places: tuple[Place, ...]
    mark: Mapping[str, str]
    """Variables by which its processes are found again."""
    store: Mapping[str, Identity]
    """The etcd that real servers share."""
    assets: Path | None
    """The programs of real servers."""

    @property
    def members(self) -> tuple[ControlPlane, ...]:
        """The servers as they are now, in the order of the places.

        One that was stopped has no process, and after a restart it has another one: ask again.
        """
        return tuple(self._member(place) for place in self.places)

    @property
    def processes(self) -> tuple[Identity, ...]:
        """Every process, in the order in which they are to be ended."""
        servers = [one for member in self.members for one in member.processes.values()]
        return (*servers, *self.store.values())

    def kubeconfig(self, url: str, user: User = "certificate") -> Path:
        """The kubeconfig of one user for one way to the servers, such as that by the VIP.

        Raises:
            LabError: The lab has no such user.
        """
        path = self.directory / f"kubeconfig-{user}-{quote(url, safe='')}.yaml"
        return write_kubeconfig(path, self.directory, url, user)

    def reconfigure(self, member: ControlPlane, options: ControlPlaneOptions) -> None:
        """Give one running embedded server other options; returns when it acts on them.

        Raises:
            LabError: It is a real server, does not run, or did not confirm.
        """
        if self.kind != "embedded":
            raise LabError("A real API server does not change", "use the embedded control plane")
        embedded.reconfigure(self._member(self._place(member)), options)

    def restart(self, member: ControlPlane) -> ControlPlane:
        """Start a stopped server again, as it was last; returns when it is ready.

        Raises:
            LabError: It runs, or did not come up.
        """
        place = self._place(member)
        if self._member(place).is_running():
            raise LabError(f"{place.name} runs already", "stop it first")
        with place.listen() as listener:
            started = self.launch(place, listener)
        try:
            return self.wait_ready(place, started)
        except BaseException:
            started.stop()
            raise

    def stop(self) -> None:
        """End every server; may be called twice. The directory stays for its owner to remove."""
        for member in self.members:
            member.stop()
        end(self.store.values())
        (self.directory / STATE_FILE).unlink(missing_ok=True)

    def open_client(self, place: Place) -> AdminClient:
        """The administrator's connection to one server, from that server's own host."""
        return AdminClient(place.url, Certificates.below(self.directory), place.namespace)

    def launch(self, place: Place, listener: socket.socket) -> ControlPlane:
        """Start one server with its socket; does not wait."""
        directory = self.directory / place.name
        if self.assets:
            listener.close()  # it binds the port itself
            return group_envtest.start_server(self.directory, place, self.assets, self.mark)
        settings = embedded.read_settings(directory)
        return embedded.launch(directory, replace(settings, listen_fd=listener.fileno()), self.mark)

    def wait_ready(self, place: Place, member: ControlPlane) -> ControlPlane:
        """Wait until one server is ready; it knows its version then.

        Raises:
            LabError: It ended, or the time is over.
        """
        start_s = envtest.START_S if self.assets else embedded.START_S
        with closing(self.open_client(place)) as client:
            wait_ready(member, client, start_s)
            return save(replace(member, version=group_envtest.ask_version(client)))

    def _place(self, member: ControlPlane) -> Place:
        for place in self.places:
            if self.directory / place.name == member.directory:
                return place
        raise LabError(f"{member.url} is none of the API servers in {self.directory}")

    def _member(self, place: Place) -> ControlPlane:
        directory = self.directory / place.name
        try:
            return attach(directory)
        except LabError:
            return ControlPlane(
                kind=self.kind, url=place.url, directory=directory, version="", processes={}
            )


def start_group(
    directory: Path,
    kind: Kind,
    options: ControlPlaneOptions,
    places: Sequence[Place],
    *,
    names: Sequence[str],
    mark: Mapping[str, str],
) -> Group:
    """Start the servers; returns when all are ready and serve the same.

    Args:
        directory: Created 0700, for keys, tokens, kubeconfigs and logs.
        kind: Of the servers.
        options: What the cluster looks like, and how each server misbehaves.
        places: Where they are.
        names: Host names and addresses that every certificate is good for, such as the VIP.
        mark: Variables by which the processes are found again.

    Raises:
        LabError: A part is missing, or a server did not come up.
    """
    check_places(places)
    assets = None
    if kind == "embedded":
        embedded.check_options(options)
    else:
        group_envtest.check(options, places)
        assets = envtest.find_assets(None, os.environ)
    make_private_directory(directory)
    with ExitStack() as on_exit:
        listeners = [on_exit.enter_context(place.listen()) for place in places]
        group = Group(
            kind=kind,
            directory=directory.absolute(),
            places=tuple(map(_with_port, places, listeners)),
            mark=mark,
            store={},
            assets=assets,
        )
        _issue(group, names)
        try:
            return _started(group, options, listeners)
        except BaseException:
            attach_group(group.directory).stop()
            raise


def attach_group(directory: Path) -> Group:
    """The group that some process started in this directory.

    Raises:
        LabError: There is none, or what is written there is not readable.
    """
    try:
        state = (directory / STATE_FILE).read_bytes()
        return msgspec.json.decode(state, type=Group, dec_hook=lambda kind, text: kind(text))
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(f"There are no API servers in {directory}", "start some") from error


def _started(
    group: Group, options: ControlPlaneOptions, listeners: Sequence[socket.socket]
) -> Group:
    _save(group)
    if group.assets:
        etcd = group_envtest.start_store(group.directory, group.assets, group.mark)
        group = _save(replace(group, store={"etcd": etcd}))
    else:
        _write_settings(group, options)
    # all at once, since each needs a while
    launched = [group.launch(*each) for each in zip(group.places, listeners, strict=True)]
    for place, member in zip(group.places, launched, strict=True):
        group.wait_ready(place, member)
    if group.assets:
        clients = [partial(group.open_client, place) for place in group.places]
        group_envtest.fill(clients, options, group.places)
    return group


def _with_port(place: Place, listener: socket.socket) -> Place:
    return replace(place, port=listener.getsockname()[1])


def _issue(group: Group, names: Sequence[str]) -> None:
    """Write the certificates, tokens and kubeconfigs of the group and of each server."""
    servers = {
        make_private_directory(group.directory / place.name): (place.address, place.name, *names)
        for place in group.places
    }
    certificates.issue_all({group.directory: (), **servers})
    users = create_tokens(group.directory)
    for place, directory in zip(group.places, servers, strict=True):
        write_tokens(directory, users)
        write_kubeconfigs(directory, place.url)


def _write_settings(group: Group, options: ControlPlaneOptions) -> None:
    """What each embedded server is told, but for its socket."""
    started_s = time.time()
    for number, place in enumerate(group.places):
        settings = ServerSettings(
            options=options,
            listen_fd=-1,
            parent_pid=None,
            members=tuple(place.member for place in group.places),
            number=number,
            started_s=started_s,
        )
        path = group.directory / place.name / SETTINGS_FILE
        write_private(path, msgspec.json.encode(settings))


def _save(group: Group) -> Group:
    """Write down what another process needs to find, use and end the servers."""
    write_private(group.directory / STATE_FILE, msgspec.json.encode(group, enc_hook=str))
    return group
