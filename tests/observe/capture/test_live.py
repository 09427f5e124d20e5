"""Our own capture sees what crosses, ends with us, and leaves nothing behind."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from capturing import needs_capture
from kubelag.errors import CaptureError
from kubelag.observe.capture.live import LiveCapture, filter_of
from kubelag.observe.capture.wanted import Wanted

ALONE = """
import sys, time
from kubelag.observe.capture.live import LiveCapture
capture = LiveCapture(ports=[1], interface="lo")
capture.start()
print(capture._keeper.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.real
@needs_capture
def test_the_last_packets_are_seen_and_started_from_a_thread_with_blocked_signals() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        server = f"127.0.0.1:{address[1]}"
        capture = LiveCapture(servers=[server], interface="lo")

        def start() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
            capture.start()

        starter = threading.Thread(target=start)
        starter.start()
        starter.join()
        with socket.create_connection(address) as client, listening.accept()[0] as other:
            client.sendall(b"x" * 100_000)
            client.shutdown(socket.SHUT_WR)
            while other.recv(65_536):
                pass
            other.sendall(b"bye")
        seen, look = capture.stop()
    (connection,) = seen.connections
    assert (connection.server, connection.sent_bytes) == (server, 100_000)
    assert (connection.received_bytes, connection.ending) == (3, "client_fin")
    assert (look.state, look.lost, seen.file.name) == ("looked", 0, "live")


@pytest.mark.real
@needs_capture
def test_tcpdump_does_not_outlive_a_program_that_is_killed() -> None:
    argv = [sys.executable, "-c", ALONE]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        ended = os.pidfd_open(pid)
        program.kill()
        program.wait()
    try:
        assert select.select([ended], [], [], 10)[0], "tcpdump goes on alone"
    finally:
        os.close(ended)


@pytest.mark.real
@needs_capture
def test_an_interface_that_is_not_there_is_told_and_nothing_is_left() -> None:
    capture = LiveCapture(ports=[1], interface="klcapnone")
    with pytest.raises(CaptureError, match="klcapnone"):
        capture.start()
    with pytest.raises(CaptureError, match="not started"):
        capture.stop()


@pytest.mark.real
@needs_capture
def test_tcpdump_is_ended_also_where_waiting_for_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    capture = LiveCapture(ports=[1], interface="lo")
    capture.start()
    keeper, kept = capture._keeper, capture._kept
    assert keeper is not None
    assert kept is not None

    def fail(_until_s: float) -> None:
        raise MemoryError

    monkeypatch.setattr(kept, "wait_quiet", fail)
    capture.stop()
    assert keeper.process.poll() is not None
    assert len(told) == 1


def test_beginning_a_capture_does_not_load_what_reads_it() -> None:
    """It takes 0.1 s, and the command would wait for it."""
    program = "import sys, kubelag.observe.capture.live; print('numpy' in sys.modules)"
    argv = [sys.executable, "-c", program]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "False\n"


def test_without_tcpdump_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CaptureError, match="is not installed; install the package tcpdump"):
        LiveCapture(ports=[1]).start()


def test_the_filter_names_endpoints_questions_and_errors() -> None:
    text = filter_of(["192.0.2.1:6443", "[2001:db8::1]:443"], [8443], Wanted())
    assert text.startswith("tcp port 8443 or (host 192.0.2.1 and tcp port 6443)")
    assert "host 2001:db8::1 and tcp port 443" in text
    assert "port 53" in text
    assert "icmp6" in text


ASK = """
from kubelag.errors import CaptureError
from kubelag.observe.capture.live import LiveCapture
try:
    LiveCapture(ports=[1], interface="lo").start()
except CaptureError as error:
    print(error.message)
"""


@pytest.mark.real
def test_who_may_not_capture_is_told_so_by_tcpdump() -> None:
    """As another user, without any capability; nothing is left running."""
    if os.geteuid() or shutil.which("setpriv") is None or shutil.which("tcpdump") is None:
        pytest.skip("needs root, setpriv and tcpdump: nobody else was asked whether he may capture")
    argv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
            "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"]  # fmt: skip
    readable = subprocess.run(
        [*argv, sys.executable, "-c", "import kubelag"], capture_output=True, check=False
    )
    if readable.returncode:
        pytest.skip("another user cannot read this Python: nobody else was asked")
    told = subprocess.run(
        [*argv, sys.executable, "-c", ASK], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith("tcpdump does not capture: ")
    assert "permission" in told
