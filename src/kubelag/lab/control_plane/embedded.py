"""Starts the embedded API server in a process of its own."""

import os
import socket
import time
from pathlib import Path

import msgspec

from kubelag.errors import LabError
from kubelag.lab.control_plane import certificates, processes
from kubelag.lab.control_plane.builtin import load_builtin
from kubelag.lab.control_plane.client import AdminClient, wait_until
from kubelag.lab.control_plane.handle import ControlPlane, attach, save
from kubelag.lab.control_plane.kubeconfigs import write_kubeconfigs
from kubelag.lab.control_plane.options import SETTINGS_FILE, ControlPlaneOptions, ServerSettings
from kubelag.lab.control_plane.private_files import make_private_directory, write_private
from kubelag.lab.control_plane.spawning import python_argv
from kubelag.lab.control_plane.tokens import create_tokens

__all__ = ["ControlPlane", "attach", "start_embedded"]

SERVER_MODULE = "kubelag.lab.control_plane.server"
START_S = 30.0
"""It takes about half a second; this is for a machine that does much else."""
BACKLOG = 512
"""Connections that may wait while the server starts: an old client opens 61 at once."""


def start_embedded(
    directory: Path, options: ControlPlaneOptions, *, daemon: bool = False
) -> ControlPlane:
    """Start the server; returns when it says that it is ready.

    Args:
        directory: Created 0700, for keys, tokens, kubeconfigs and the log.
        options: What the cluster looks like, and how it misbehaves.
        daemon: Whether the server outlives this process.

    Raises:
        LabError: A part is missing, or the server did not come up.
    """
    options.custom_group_count(load_builtin().group_version_count)
    make_private_directory(directory)
    certificates.issue(directory)
    create_tokens(directory)
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        control_plane = _spawn(directory, options, listener, daemon=daemon)
    try:
        write_kubeconfigs(directory, control_plane.url)
        _wait_ready(control_plane)
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


def _spawn(
    directory: Path, options: ControlPlaneOptions, listener: socket.socket, *, daemon: bool
) -> ControlPlane:
    settings = ServerSettings(
        options=options,
        listen_fd=listener.fileno(),
        parent_pid=None if daemon else os.getpid(),
    )
    write_private(directory / SETTINGS_FILE, msgspec.json.encode(settings))
    record = processes.spawn(
        "embedded",
        python_argv(SERVER_MODULE, str(directory)),
        log=directory / "embedded.log",
        environment=os.environ,
        pass_fds=(listener.fileno(),),
    )
    return save(
        ControlPlane(
            kind="embedded",
            url=f"https://127.0.0.1:{listener.getsockname()[1]}",
            directory=directory,
            version=options.git_version,
            processes=(record,),
        )
    )


def _wait_ready(control_plane: ControlPlane) -> None:
    log = control_plane.directory / "embedded.log"
    client = AdminClient(
        control_plane.url, certificates.Certificates.below(control_plane.directory)
    )

    def is_ready() -> bool:
        if not control_plane.is_running():
            raise LabError(
                f"The embedded API server ended before it was ready: {processes.last_words(log)}",
                "pip install 'kubelag[lab]' if a package is missing",
            )
        return client.request("GET", "/readyz").body == b"ok"

    try:
        wait_until(
            is_ready,
            deadline_s=time.monotonic() + START_S,
            what=f"The embedded API server was not ready within {START_S:.0f} s",
            hint=f"read {log}",
        )
    finally:
        client.close()
