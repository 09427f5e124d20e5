"""Servers come up in private, can be found again, and go away with or without their lab."""

import contextlib
import os
import signal
import ssl
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.client import AdminClient
from kubelag.lab.control_plane.embedded import reconfigure, start_embedded
from kubelag.lab.control_plane.envtest import find_assets, start_envtest
from kubelag.lab.control_plane.handle import ControlPlane, attach
from kubelag.lab.control_plane.kubeconfigs import exec_kubeconfig
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.control_plane.tokens import read_tokens
from kubelag.lab.waiting import wait_until

if TYPE_CHECKING:
    from conftest import Kubectl, StartServer

SMALL = ControlPlaneOptions(group_versions=40, pods=2)
END_S = 20


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return tmp_path / "lab"


def wait_gone(control_plane: ControlPlane) -> None:
    for pid in control_plane.pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(END_S)


def test_everything_written_is_private(embedded: ControlPlane) -> None:
    found = [embedded.directory, *embedded.directory.rglob("*")]
    assert len(found) > 10
    assert not [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_no_secret_is_in_the_arguments_of_a_process(embedded: ControlPlane) -> None:
    words = " ".join(psutil.Process(embedded.pids[0]).cmdline())
    assert all(user.token not in words for user in read_tokens(embedded.directory))


def test_a_running_server_is_found_again_by_its_directory(embedded: ControlPlane) -> None:
    assert attach(embedded.directory) == embedded


def test_stop_may_be_called_twice_and_leaves_nothing_running(lab: Path) -> None:
    control_plane = start_embedded(lab, SMALL)
    assert control_plane.is_running()
    control_plane.stop()
    control_plane.stop()
    assert not control_plane.is_running()
    assert not any(psutil.pid_exists(pid) for pid in control_plane.pids)
    with pytest.raises(LabError, match="no control plane"):
        attach(lab)


def test_a_foreign_process_with_the_same_id_is_left_alone(embedded: ControlPlane) -> None:
    from dataclasses import replace  # noqa: PLC0415 - beside its one use

    ((name, process),) = embedded.processes.items()
    other = replace(process, start_ticks=process.start_ticks + 1)
    stranger = replace(embedded, processes={name: other}, directory=embedded.directory / "none")
    stranger.stop()
    assert not stranger.is_running()
    assert embedded.is_running()


PARENT = """
    import os, pathlib, signal, sys
    from kubelag.lab.control_plane.{module} import {function}
    from kubelag.lab.control_plane.options import ControlPlaneOptions
    options = ControlPlaneOptions(group_versions=40, pods=2)
    {function}(pathlib.Path(sys.argv[1]), options, daemon={daemon})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def crash_after_start(lab: Path, *, daemon: bool, real: bool = False) -> ControlPlane:
    """What another process started before it was killed."""
    module, function = ("envtest", "start_envtest") if real else ("embedded", "start_embedded")
    code = textwrap.dedent(PARENT).format(module=module, function=function, daemon=daemon)
    done = subprocess.run([sys.executable, "-c", code, str(lab)], check=False, timeout=200)
    assert done.returncode == -signal.SIGKILL
    return attach(lab)


def test_a_server_ends_with_its_lab_however_the_lab_ends(lab: Path) -> None:
    control_plane = crash_after_start(lab, daemon=False)
    wait_gone(control_plane)
    assert not control_plane.is_running()


def test_a_daemon_outlives_the_command_that_started_it(lab: Path) -> None:
    control_plane = crash_after_start(lab, daemon=True)
    try:
        assert control_plane.is_running()
        assert health(control_plane) == b"ok"
    finally:
        control_plane.stop()
    assert not control_plane.is_running()


def health(control_plane: ControlPlane) -> bytes:
    parts = urlsplit(control_plane.url)
    certificates = Certificates.below(control_plane.directory)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    connection = HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=30)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.real
@pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS is not set")
def test_the_real_servers_end_with_their_lab_too(lab: Path) -> None:
    control_plane = crash_after_start(lab, daemon=False, real=True)
    assert len(control_plane.pids) == 2
    wait_gone(control_plane)
    assert not control_plane.is_running()


def test_a_directory_that_others_can_read_is_refused(lab: Path) -> None:
    lab.mkdir(mode=0o755)
    with pytest.raises(LabError, match="not private to you"):
        start_embedded(lab, SMALL)


def test_a_link_in_place_of_the_directory_is_refused(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    lab.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LabError, match="not private to you"):
        start_embedded(lab, SMALL)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="Cannot create"):
        start_embedded(tmp_path / "file" / "lab", SMALL)


def test_impossible_options_are_refused_before_anything_starts(lab: Path) -> None:
    with pytest.raises(LabError, match="ask for more"):
        start_embedded(lab, ControlPlaneOptions(group_versions=3))
    assert not lab.exists()


def test_envtest_says_what_it_lacks(lab: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="KUBEBUILDER_ASSETS is not set"):
        find_assets(None, {})
    with pytest.raises(LabError, match="no program kube-apiserver in"):
        find_assets(None, {"KUBEBUILDER_ASSETS": str(tmp_path)})
    with pytest.raises(LabError, match="cannot be asked for aggregated, latency_s"):
        start_envtest(lab, ControlPlaneOptions(aggregated="v2", latency_s=1.0))


def test_a_real_server_that_cannot_start_is_told_with_its_last_words(
    lab: Path, tmp_path: Path
) -> None:
    for name in ("etcd", "kube-apiserver"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho broken beyond repair >&2\nexit 1\n")
        program.chmod(0o700)
    with pytest.raises(LabError, match="ended before it was ready: broken beyond repair"):
        start_envtest(lab, SMALL, assets=tmp_path)
    with pytest.raises(LabError):
        attach(lab)


def test_a_port_that_somebody_else_took_is_tried_again(lab: Path, tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        program = tmp_path / name
        words = "listen tcp 127.0.0.1:1: bind: address already in use"
        # the try first: whoever has said its words may be ended at once
        program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/tries-{name}\necho {words} >&2\n")
        program.chmod(0o700)
    with pytest.raises(LabError, match="address already in use"):
        start_envtest(lab, SMALL, assets=tmp_path)
    assert len((tmp_path / "tries-etcd").read_text().split()) == 3


def test_an_unknown_user_has_no_kubeconfig(embedded: ControlPlane) -> None:
    with pytest.raises(LabError, match="no user nobody"):
        embedded.kubeconfig("nobody")  # type: ignore[arg-type]


def test_a_plugin_without_a_command_is_refused(embedded: ControlPlane) -> None:
    with pytest.raises(LabError, match="needs a command"):
        exec_kubeconfig(embedded, [])


@pytest.mark.real
def test_kubectl_takes_its_token_from_a_credential_plugin(
    embedded: ControlPlane, kubectl: "Kubectl"
) -> None:
    path = exec_kubeconfig(embedded, ["/bin/cat", str(embedded.exec_credential)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    done = kubectl.run(path, "get", "nodes")
    assert done.returncode == 0, done.stderr
    assert "node1" in done.stdout


def test_a_kubeconfig_holds_all_that_is_needed(embedded: ControlPlane) -> None:
    config = yaml.safe_load(embedded.kubeconfig().read_text())
    assert config["clusters"][0]["cluster"]["server"] == embedded.url
    assert {"client-certificate-data", "client-key-data"} == set(config["users"][0]["user"])


def test_options_change_while_connections_stay(lab: Path) -> None:
    control_plane = start_embedded(lab, SMALL)
    client = AdminClient(control_plane.url, Certificates.below(lab))
    try:
        assert len(client.request("GET", "/api/v1/nodes").json()["items"]) == 3
        reconfigure(control_plane, ControlPlaneOptions(nodes=5, status_by_prefix={"/version": 503}))
        assert len(client.request("GET", "/api/v1/nodes").json()["items"]) == 5
        assert client.request("GET", "/version").status == 503
        reconfigure(control_plane, SMALL)
        assert client.request("GET", "/version").status == 200
    finally:
        client.close()
        control_plane.stop()


def test_a_server_that_ended_takes_no_options(lab: Path) -> None:
    control_plane = start_embedded(lab, SMALL)
    control_plane.stop()
    with pytest.raises(LabError, match="does not run"):
        reconfigure(control_plane, SMALL)


def test_impossible_options_leave_a_server_as_it_is(embedded: ControlPlane) -> None:
    with pytest.raises(LabError, match="ask for more"):
        reconfigure(embedded, ControlPlaneOptions(group_versions=3))
    assert health(embedded) == b"ok"


def test_a_delay_is_waited_for_on_the_wire(start_server: "StartServer") -> None:
    """The answer to /version is held back; a client that waits less gets none."""
    server = start_server(group_versions=37, latency_by_prefix={"/version": 60.0})
    parts = urlsplit(server.url)
    certificates = Certificates.below(server.directory)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    connection = HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=0.2)
    try:
        connection.request("GET", "/version")
        with pytest.raises(TimeoutError):
            connection.getresponse()
    finally:
        connection.close()
    assert health(server) == b"ok"


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One server that takes one fault after another."""
    control_plane = start_embedded(tmp_path_factory.mktemp("changing") / "lab", SMALL)
    yield control_plane
    control_plane.stop()


HANGING = "/apis/custom.metrics.k8s.io"


@pytest.mark.parametrize(
    ("fault", "slow", "quick"),
    [
        ({"authentication_latency_s": 60.0}, ("token", "/apis"), ("certificate", "/apis")),
        ({"queue_latency_s": 60.0}, ("reader", "/apis"), ("token", "/apis")),
        (
            {"storage_latency_s": 60.0},
            ("token", "/api/v1/nodes"),
            ("token", "/api/v1/nodes?resourceVersion=0"),
        ),
        (
            {"hanging_group_versions": ("custom.metrics.k8s.io/v1beta1",), "hang_s": 60.0},
            ("token", f"{HANGING}/v1beta1"),
            ("token", HANGING),
        ),
    ],
)
def test_a_fault_is_felt_by_those_whom_it_is_meant_for(
    changing: ControlPlane,
    fault: dict[str, Any],
    slow: tuple[str, str],
    quick: tuple[str, str],
) -> None:
    reconfigure(changing, ControlPlaneOptions(group_versions=40, pods=2, **fault))
    assert status_of(changing, *quick, timeout_s=30) == 200
    with pytest.raises(TimeoutError):
        status_of(changing, *slow, timeout_s=0.5)
    reconfigure(changing, SMALL)
    assert status_of(changing, *slow, timeout_s=30) in {200, 404}


def status_of(control_plane: ControlPlane, user: str, path: str, *, timeout_s: float) -> int:
    parts = urlsplit(control_plane.url)
    certificates = Certificates.below(control_plane.directory)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    headers = {}
    if user == "certificate":
        context.load_cert_chain(certificates.client_certificate, certificates.client_key)
    else:
        config = yaml.safe_load(control_plane.kubeconfig(user).read_text())  # type: ignore[arg-type]
        headers["Authorization"] = f"Bearer {config['users'][0]['user']['token']}"
    connection = HTTPSConnection(
        parts.hostname or "", parts.port, context=context, timeout=timeout_s
    )
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status


def test_what_is_on_its_way_is_answered_as_it_was_meant(changing: ControlPlane) -> None:
    """The answer was decided on when the request came, with the wait before it."""
    reconfigure(changing, ControlPlaneOptions(group_versions=40, nodes=5, latency_s=1.0))
    client = AdminClient(changing.url, Certificates.below(changing.directory))
    with contextlib.closing(client), ThreadPoolExecutor(1) as pool:
        client.request("GET", "/livez")
        asked = pool.submit(client.request, "GET", "/api/v1/nodes")
        # whether it has come already or not, it is answered, on the connection of before
        reconfigure(changing, SMALL)
        assert len(asked.result().json()["items"]) in {3, 5}


def test_a_server_survives_settings_that_it_cannot_read(lab: Path) -> None:
    control_plane = start_embedded(lab, SMALL)
    try:
        (lab / "server.json").write_text("{")
        os.kill(control_plane.pids[0], signal.SIGHUP)
        log = control_plane.log("embedded")
        wait_until(lambda: "Error" in log.read_text(), timeout_s=END_S, problem="nothing is said")
        assert health(control_plane) == b"ok"
        with pytest.raises(LabError, match="no embedded API server in"):
            reconfigure(control_plane, SMALL)
    finally:
        control_plane.stop()
