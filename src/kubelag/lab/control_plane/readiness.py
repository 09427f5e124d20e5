"""Waits until a control plane that was just started is ready, or says why it never will be."""

from kubelag.errors import LabError
from kubelag.lab.control_plane.client import AdminClient, wait_answer
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.processes import is_running, last_words


def wait_ready(control_plane: ControlPlane, client: AdminClient, timeout_s: float) -> None:
    """Wait until the API server says that it is ready.

    Raises:
        LabError: A process ended, or the time is over; says which, and its last words.
    """
    wait_answer(
        lambda: _is_ready(control_plane, client),
        timeout_s=timeout_s,
        problem=f"The {control_plane.kind} API server was not ready",
        next_step=f"read the logs in {control_plane.directory}",
    )


def _is_ready(control_plane: ControlPlane, client: AdminClient) -> bool:
    for name, process in control_plane.processes.items():
        if not is_running(process):
            log = control_plane.log(name)
            raise LabError(f"{name} ended before it was ready: {last_words(log)}", f"read {log}")
    return client.request("GET", "/readyz").body == b"ok"
