"""Starts the embedded API server in a process of its own, and changes it while it runs."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec

from kubelag.errors import LabError
from kubelag.lab.control_plane import certificates
from kubelag.lab.control_plane.builtin import load_builtin
from kubelag.lab.control_plane.client import AdminClient
from kubelag.lab.control_plane.handle import ControlPlane, attach, save
from kubelag.lab.control_plane.kubeconfigs import write_kubeconfigs
from kubelag.lab.control_plane.options import (
    CONFIRMATION_FILE,
    SETTINGS_FILE,
    ControlPlaneOptions,
    Member,
    ServerSettings,
)
from kubelag.lab.control_plane.places import BACKLOG
from kubelag.lab.control_plane.readiness import wait_ready
from kubelag.lab.control_plane.tokens import create_tokens
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.processes import is_running, last_words, python_argv, spawn
from kubelag.lab.waiting import wait_until

__all__ = ["ControlPlane", "attach", "reconfigure", "start_embedded"]

NAME = "embedded"
SERVER_MODULE = "kubelag.lab.control_plane.server"
START_S = 30.0
"""It takes about half a second; this is for a machine that does much else."""
RECONFIGURE_S = 30.0
"""It takes some 10 ms; this is for a machine that does much else."""


def start_embedded(
    directory: Path,
    options: ControlPlaneOptions,
    *,
    daemon: bool = False,
    mark: Mapping[str, str] | None = None,
) -> ControlPlane:
    """Start the server; returns when it says that it is ready.

    Args:
        directory: Created 0700, for keys, tokens, kubeconfigs and the log.
        options: What the cluster looks like, and how it misbehaves.
        daemon: Whether the server outlives this process.
        mark: Variables by which its process is found again.

    Raises:
        LabError: A part is missing, or the server did not come up.
    """
    check_options(options)
    make_private_directory(directory)
    pki = certificates.issue(directory)
    create_tokens(directory)
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        settings = ServerSettings(
            options=options,
            listen_fd=listener.fileno(),
            parent_pid=None if daemon else os.getpid(),
            members=(Member(address="127.0.0.1", port=listener.getsockname()[1]),),
            number=0,
            started_s=time.time(),
        )
        control_plane = launch(directory, settings, mark or {})
    try:
        write_kubeconfigs(directory, control_plane.url)
        with closing(AdminClient(control_plane.url, pki)) as client:
            wait_ready(control_plane, client, START_S)
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


def check_options(options: ControlPlaneOptions) -> None:
    """Refuse what the server could not be.

    Raises:
        LabError: Fewer group-versions are wanted than are built in.
    """
    options.custom_group_count(load_builtin().group_version_count)


def launch(directory: Path, settings: ServerSettings, mark: Mapping[str, str]) -> ControlPlane:
    """Start the process, in a directory that has its certificates and tokens; does not wait."""
    write_private(directory / SETTINGS_FILE, msgspec.json.encode(settings))
    server = spawn(
        python_argv(SERVER_MODULE, str(directory)),
        log=directory / f"{NAME}.log",
        environment=os.environ | mark,
        pass_fds=(settings.listen_fd,),
    )
    return save(
        ControlPlane(
            kind="embedded",
            url=f"https://{settings.members[settings.number].authority}",
            directory=directory,
            version=settings.options.git_version,
            processes={NAME: server},
        )
    )


def read_settings(directory: Path) -> ServerSettings:
    """What the server in this directory was last told.

    Raises:
        LabError: No embedded server was ever started there.
    """
    try:
        encoded = (directory / SETTINGS_FILE).read_bytes()
        return msgspec.json.decode(encoded, type=ServerSettings)
    except (OSError, msgspec.DecodeError) as error:
        raise LabError(f"There is no embedded API server in {directory}", "start one") from error


def reconfigure(control_plane: ControlPlane, options: ControlPlaneOptions) -> None:
    """Give a running server other options; returns when it acts on them. Connections stay.

    Raises:
        LabError: It is not an embedded one, does not run, or did not confirm.
    """
    check_options(options)
    directory = control_plane.directory
    settings = read_settings(directory)
    changed = replace(settings, options=options, generation=settings.generation + 1)
    write_private(directory / SETTINGS_FILE, msgspec.json.encode(changed))
    for process in filter(is_running, control_plane.processes.values()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGHUP)
    wait_until(
        lambda: _is_confirmed(control_plane, changed.generation),
        timeout_s=RECONFIGURE_S,
        problem=f"The API server {control_plane.url} did not take its new options",
        next_step=f"read {control_plane.log(NAME)}",
    )


def _is_confirmed(control_plane: ControlPlane, generation: int) -> bool:
    if not control_plane.is_running():
        log = control_plane.log(NAME)
        words = last_words(log)
        raise LabError(f"The API server {control_plane.url} does not run: {words}", f"read {log}")
    confirmation = control_plane.directory / CONFIRMATION_FILE
    return confirmation.exists() and confirmation.read_text() == str(generation)
