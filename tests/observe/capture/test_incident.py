"""The verdict of the founding incident, from captures at both ends of a real kubectl's run."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kubelag.observe.capture.comparing import compare
from kubelag.observe.capture.reading import read_capture
from kubelag.observe.capture.wanted import Wanted

TOOLS = ("ip", "tcpdump", "strace")
MISSING = [name for name in TOOLS if shutil.which(name) is None]
WHY = "needs root" if os.geteuid() else f"{', '.join(MISSING)} not installed" if MISSING else ""
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(WHY), reason=WHY or "-")]

SERVER_AT = "10.78.0.2"
SERVE = f"""
import socket, sys, threading
from pathlib import Path
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.options import ControlPlaneOptions
plane = start_embedded(Path(sys.argv[1]), ControlPlaneOptions())
host, port = plane.url.removeprefix("https://").split(":")
def pump(one, other):
    while part := one.recv(65536):
        other.sendall(part)
    other.shutdown(socket.SHUT_WR)
def serve(one):
    other = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(other, one), daemon=True).start()
    pump(one, other)
def accept(listening):
    while True:
        threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
listening = socket.create_server(("{SERVER_AT}", 6443))
threading.Thread(target=accept, args=(listening,), daemon=True).start()
print(plane.kubeconfig(), flush=True)
try:
    sys.stdin.read()
finally:
    plane.stop()
"""
FSYNC_US = 20_000
"""Each write of the old client's cache takes so long, one after the other."""


def run(*argv: str | Path) -> None:
    subprocess.run(argv, capture_output=True, check=True, timeout=60)


@pytest.fixture
def ends() -> Iterator[tuple[str, str]]:
    """Two namespaces with a cable between them: the client's and the server's."""
    mark = uuid.uuid4().hex[:6]
    names = f"klcapc{mark}", f"klcapd{mark}"
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
            "netns", names[1])  # fmt: skip
        for name, address in zip(names, ("10.78.0.1/24", f"{SERVER_AT}/24"), strict=True):
            run("ip", "-n", name, "addr", "add", address, "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextmanager
def dumped(namespace: str, path: Path) -> Iterator[None]:
    argv = ["ip", "netns", "exec", namespace, "tcpdump", "-Z", "root", "-i", "eth0", "-U",
            "--immediate-mode", "-s", "262", "-w", path]  # fmt: skip
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as dump:
        try:
            assert dump.stderr is not None
            while "listening on" not in dump.stderr.readline():
                assert dump.poll() is None
            yield
        finally:
            dump.send_signal(signal.SIGINT)
            dump.communicate(timeout=20)


def test_both_ends_together_name_the_client_whose_cache_waits_for_its_disk(
    ends: tuple[str, str], old_kubectl: Path, tmp_path: Path
) -> None:
    client, server = ends
    inside = ("ip", "netns", "exec")
    with ExitStack() as stack:
        serving = stack.enter_context(
            subprocess.Popen(
                [*inside, server, sys.executable, "-c", SERVE, tmp_path / "lab"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        assert serving.stdout is not None
        kubeconfig = serving.stdout.readline().strip()
        with dumped(client, tmp_path / "near"), dumped(server, tmp_path / "far"):
            run(*inside, client, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync",
                "-e", f"inject=fsync:delay_enter={FSYNC_US}", old_kubectl, "get", "nodes",
                "--kubeconfig", kubeconfig, "--cache-dir", tmp_path / "cache",
                "--server", f"https://{SERVER_AT}:6443", "--tls-server-name", "localhost",
            )  # fmt: skip
        assert serving.stdin is not None
        serving.stdin.close()
    near, far = (read_capture(tmp_path / name, Wanted()) for name in ("near", "far"))
    found = compare(near, far)
    assert found.sentence.startswith("The packets were not late")
    assert (found.lost_forth, found.lost_back) == (0, 0)
    client_ns = sum(one.end_ns - one.start_ns for one in found.silences if one.silent == "client")
    assert client_ns > 10 * FSYNC_US * 1000
    assert "the client was silent" in found.sentence
    assert "the network" not in found.sentence
