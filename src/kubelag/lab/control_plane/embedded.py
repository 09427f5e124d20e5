"""Starts the embedded API server in a process of its own."""

import os
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from kubelag.lab.control_plane import certificates
from kubelag.lab.control_plane.builtin import load_builtin
from kubelag.lab.control_plane.client import AdminClient
from kubelag.lab.control_plane.handle import ControlPlane, attach, save
from kubelag.lab.control_plane.kubeconfigs import write_kubeconfigs
from kubelag.lab.control_plane.options import SETTINGS_FILE, ControlPlaneOptions, ServerSettings
from kubelag.lab.control_plane.readiness import wait_ready
from kubelag.lab.control_plane.tokens import create_tokens
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.processes import python_argv, spawn

__all__ = ["ControlPlane", "attach", "start_embedded"]

NAME = "embedded"
SERVER_MODULE = "kubelag.lab.control_plane.server"
START_S = 30.0
"""It takes about half a second; this is for a machine that does much else."""
BACKLOG = 512
"""Connections that may wait while the server starts: an old client opens 61 at once."""


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
    options.custom_group_count(load_builtin().group_version_count)
    make_private_directory(directory)
    pki = certificates.issue(directory)
    create_tokens(directory)
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        settings = ServerSettings(
            options=options,
            listen_fd=listener.fileno(),
            parent_pid=None if daemon else os.getpid(),
        )
        control_plane = _spawn(directory, settings, listener, mark or {})
    try:
        write_kubeconfigs(directory, control_plane.url)
        with closing(AdminClient(control_plane.url, pki)) as client:
            wait_ready(control_plane, client, START_S)
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


def _spawn(
    directory: Path, settings: ServerSettings, listener: socket.socket, mark: Mapping[str, str]
) -> ControlPlane:
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
            url=f"https://127.0.0.1:{listener.getsockname()[1]}",
            directory=directory,
            version=settings.options.git_version,
            processes={NAME: server},
        )
    )
