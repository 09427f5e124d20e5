"""Small servers in general: started, changed while they run, found again, ended, gone."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.network.connect_proxy import PROXY, ProxySettings
from kubelag.lab.network.dns_server import (
    DNS,
    DnsSettings,
    NameServer,
    Records,
)
from kubelag.lab.network.served import STATE_FILE, Home, Served, attach, start
from kubelag.lab.network.serving import SETTINGS_FILE
from kubelag.lab.processes import TOKEN_VARIABLE, Identity, end, find_marked
from kubelag.lab.waiting import wait_until

TOKEN = "test-served"  # a mark, followed by our pid
HOME = "127.0.0.1"


@pytest.fixture
def mark() -> Iterator[dict[str, str]]:
    """Marks what a test starts; nothing of it may be left after the test."""
    token = f"{TOKEN}-{os.getpid()}"
    yield {TOKEN_VARIABLE: token}
    left = find_marked(token)
    end(left)
    assert left == ()


def home(directory: Path, mark: dict[str, str], *addresses: str, port: int = 0) -> Home:
    return Home(directory=directory, addresses=addresses or (HOME,), port=port, mark=mark)


@pytest.fixture
def proxy(mark: dict[str, str], tmp_path: Path) -> Iterator[Served[ProxySettings]]:
    served = start(PROXY, home(tmp_path / "proxy", mark), ProxySettings())
    yield served
    served.stop()


def status_line(served: Served[ProxySettings], asked: bytes = b"CONNECT nobody:1") -> bytes:
    """The first line of what the proxy answers."""
    with socket.create_connection((HOME, served.port), timeout=30) as line:
        line.sendall(asked + b" HTTP/1.1\r\nHost: nobody:1\r\n\r\n")
        return line.makefile("rb").readline()


def test_a_server_serves_as_soon_as_it_is_started(proxy: Served[ProxySettings]) -> None:
    assert proxy.is_running()
    assert proxy.name == "proxy"
    assert proxy.addresses == (HOME,)
    assert proxy.settings == ProxySettings()
    assert status_line(proxy).split()[1] == b"502"


def test_new_settings_act_when_reconfigure_returns(proxy: Served[ProxySettings]) -> None:
    for status in (403, 407, 503, 0):
        proxy.reconfigure(ProxySettings(refusal_status=status))
        assert proxy.settings == ProxySettings(refusal_status=status)
        assert int(status_line(proxy).split()[1]) == (status or 502)
    assert proxy.is_running()


def test_impossible_settings_change_nothing(proxy: Served[ProxySettings]) -> None:
    proxy.reconfigure(ProxySettings(refusal_status=403))
    with pytest.raises(LabError, match="does not refuse with 200; choose a status from 400 on"):
        proxy.reconfigure(ProxySettings(refusal_status=200))
    assert proxy.settings.refusal_status == 403
    assert status_line(proxy).split()[1] == b"403"
    proxy.reconfigure(ProxySettings(refusal_status=500))
    assert status_line(proxy).split()[1] == b"500"


def test_another_process_finds_changes_and_ends_it(proxy: Served[ProxySettings]) -> None:
    other = attach(proxy.directory, PROXY)
    assert other == proxy
    other.reconfigure(ProxySettings(refusal_status=418))
    assert proxy.settings.refusal_status == 418
    other.stop()
    assert not proxy.is_running()
    with pytest.raises(LabError, match="There is no proxy server in"):
        attach(proxy.directory, PROXY)
    proxy.stop()  # twice is no problem


def test_another_kind_of_server_is_not_taken_for_it(proxy: Served[ProxySettings]) -> None:
    with pytest.raises(LabError, match="is a proxy, not a dns"):
        attach(proxy.directory, DNS)
    (proxy.directory / STATE_FILE).write_text("{")
    with pytest.raises(LabError, match="There is no proxy server in"):
        attach(proxy.directory, PROXY)


def test_a_server_that_died_is_told_with_its_log(proxy: Served[ProxySettings]) -> None:
    former = (proxy.directory / SETTINGS_FILE).read_bytes()
    os.kill(proxy.process.pid, signal.SIGKILL)
    with pytest.raises(LabError, match=r"The proxy server has ended.*proxy\.log"):
        proxy.reconfigure(ProxySettings(silent=True))
    assert (proxy.directory / SETTINGS_FILE).read_bytes() == former
    assert not proxy.is_running()


def test_settings_that_are_refused_at_the_start_leave_nothing(
    mark: dict[str, str], tmp_path: Path
) -> None:
    impossible = DnsSettings(records={"api.example": Records(a=("fd00::1",))})
    with pytest.raises(LabError, match=r"api\.example cannot have the IPv4 address fd00::1"):
        start(DNS, home(tmp_path / "dns", mark), impossible)
    assert not (tmp_path / "dns" / STATE_FILE).exists()


def test_an_address_that_the_host_lacks_is_named(mark: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"192\.0\.2\.1 port \d+ cannot be served"):
        start(DNS, home(tmp_path / "dns", mark, HOME, "192.0.2.1"), DnsSettings())


def test_a_port_that_somebody_has_is_named(
    proxy: Served[ProxySettings], mark: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(LabError, match=f"port {proxy.port} cannot be served.*ss -lntup"):
        start(PROXY, home(tmp_path / "second", mark, port=proxy.port), ProxySettings())


def test_nobody_else_can_read_a_servers_directory(proxy: Served[ProxySettings]) -> None:
    status_line(proxy)
    wait_until(lambda: "asked" in proxy.counts, timeout_s=30, problem="Nothing was counted")
    assert stat.S_IMODE(proxy.directory.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in proxy.directory.iterdir()}
    assert modes == {0o600}


def test_settings_survive_the_way_through_the_file(mark: dict[str, str], tmp_path: Path) -> None:
    settings = DnsSettings(
        records={"api.example": Records(a=("10.0.0.1",), aaaa=("fd00::1",))},
        servers={HOME: NameServer(dropped_types=("AAAA",), delay_by_type_s={"A": 0.5})},
    )
    served = start(DNS, home(tmp_path / "dns", mark), settings)
    try:
        assert served.settings == settings
    finally:
        served.stop()


START_AND_CRASH = """
import os, signal, sys
from pathlib import Path
from kubelag.lab.network.connect_proxy import PROXY, ProxySettings
from kubelag.lab.network.served import Home, start
mark = {name: os.environ[name] for name in ("KUBELAG_LAB",)}
place, daemon = Path(sys.argv[1]), sys.argv[2] == "daemon"
home = Home(directory=place, addresses=("127.0.0.1",), port=0, mark=mark, daemon=daemon)
start(PROXY, home, ProxySettings())
os.kill(os.getpid(), signal.SIGKILL)
"""


def crash_after_start(directory: Path, mark: dict[str, str], kind: str) -> Served[ProxySettings]:
    done = subprocess.run(
        (sys.executable, "-c", START_AND_CRASH, str(directory), kind),
        env=os.environ | mark,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    return attach(directory, PROXY)


def test_a_server_ends_with_its_lab_however_the_lab_ends(
    mark: dict[str, str], tmp_path: Path
) -> None:
    served = crash_after_start(tmp_path / "proxy", mark, "tied")
    wait_until(lambda: not served.is_running(), timeout_s=30, problem="It outlived its lab")


def test_a_daemon_outlives_the_command_that_started_it(
    mark: dict[str, str], tmp_path: Path
) -> None:
    served = crash_after_start(tmp_path / "proxy", mark, "daemon")
    try:
        assert status_line(served).split()[1] == b"502"
    finally:
        served.stop()
    assert not served.is_running()


def test_it_ends_when_told_to_even_with_open_connections(proxy: Served[ProxySettings]) -> None:
    with socket.create_connection((HOME, proxy.port), timeout=30) as line:
        line.sendall(b"CONNECT half")
        os.kill(proxy.process.pid, signal.SIGTERM)
        assert line.recv(1) == b""
    wait_until(lambda: not proxy.is_running(), timeout_s=30, problem="It did not end")


def test_a_recycled_pid_is_not_signalled(proxy: Served[ProxySettings]) -> None:
    """A process with the same number that started at another time is somebody else."""
    sleeper = subprocess.Popen(("sleep", "60"))
    try:
        stranger = Identity(pid=sleeper.pid, start_ticks=1)
        mistaken = Served(
            program=proxy.program,
            directory=proxy.directory,
            process=stranger,
            addresses=proxy.addresses,
            port=proxy.port,
        )
        with pytest.raises(LabError, match="has ended"):
            mistaken.reconfigure(ProxySettings(silent=True))
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
