"""The way to a real server, as a real kubectl took it: packets, sockets, probes, captures."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capturing import needs_capture
from program import Program

pytestmark = pytest.mark.real
_LISTENING_S = 10.0


def port_of(kubeconfig: Path) -> int:
    return int(kubeconfig.read_text().partition("server: https://127.0.0.1:")[2].split()[0])


def explained(kubelag: Program, *words: str | Path) -> Any:
    done = kubelag("explain", "-q", "--no-proof", "--format", "json", *words)
    assert done.code == 0, done
    return done.report


def blamed(report: Any) -> set[str]:
    """Whom of the way it suspects; a busy machine may be to blame at any time."""
    found = {one["cause"] for one in report["verdicts"] if one["verdict"] != "unknown"}
    return found - {"cpu_contended"}


def hop(report: Any, name: str) -> Any:
    (line,) = (one for one in report["way"] if one["hop"].startswith(name))
    return line


@contextmanager
def captured(target: Path, port: int, interface: str) -> Iterator[None]:
    """A capture as a user takes one, which has begun when this begins."""
    if not shutil.which("tcpdump"):
        pytest.skip("tcpdump is not installed")
    argv = ["tcpdump", "-i", interface, "-n", "-U", "-Z", "root", "-w", str(target)]
    with subprocess.Popen([*argv, f"tcp port {port}"], stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if b"listening on" in line:
                    break
            yield
            # What has not come through yet is behind this connection's own packets.
            _knock_until_seen(target, port)
        finally:
            process.terminate()


def _knock_until_seen(target: Path, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=_LISTENING_S) as knocking:
        mark = knocking.getsockname()[1].to_bytes(2, "big") + port.to_bytes(2, "big")
    waiting = threading.Event()
    for _ in range(500):
        if mark in target.read_bytes():
            return
        waiting.wait(0.02)
    raise AssertionError("the capture never saw our own packets")


@needs_capture
def test_the_run_is_told_by_its_own_packets_and_nobody_is_blamed(
    kubelag: Program, old_kubectl: Path
) -> None:
    report = explained(kubelag, old_kubectl, "get", "nodes")
    line = hop(report, "this run")
    assert line["is_well"]
    assert line["sentence"].startswith("1 connection, connect ")
    assert "0 of " in line["sentence"]
    assert not blamed(report)
    assert "capture" not in {one["observer"] for one in report["could_not_look"]}


def test_without_packets_the_sockets_tell(kubelag: Program, old_kubectl: Path) -> None:
    report = explained(kubelag, "--no-capture", old_kubectl, "get", "nodes")
    unseen = {one["observer"]: one["why"] for one in report["could_not_look"]}
    assert unseen["capture"] == "it was not wanted (--no-capture)"
    assert hop(report, "this run")["sentence"].startswith("1 connection")
    assert not blamed(report)


def test_the_way_is_probed_after_the_run_and_is_well(kubelag: Program, old_kubectl: Path) -> None:
    argv = ("explain", "-q", "--budget", "1", "--format", "json", old_kubectl, "get", "nodes")
    report = kubelag(*argv).report
    line = hop(report, "address 127.0.0.1:")
    assert line["is_well"], line
    assert "connect " in line["sentence"]
    assert "TLS " in line["sentence"]
    assert not [one for one in report["way"] if one["hop"].startswith("API server")]


def test_no_proof_sends_nothing_of_our_own(kubelag: Program, old_kubectl: Path) -> None:
    report = explained(kubelag, old_kubectl, "get", "nodes")
    assert [one["hop"] for one in report["way"]] == ["this run"]


def test_what_talks_to_no_server_has_no_way(kubelag: Program, old_kubectl: Path) -> None:
    for words in ((old_kubectl, "version", "--client"), ("--once", "true")):
        report = explained(kubelag, *words)
        assert report["way"] == []
        assert not blamed(report)


def test_a_server_that_refuses_is_told(
    kubelag: Program, old_kubectl: Path, tmp_path: Path, kubeconfig: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = kubeconfig.read_text().replace(f":{port_of(kubeconfig)}", f":{port}")
    (tmp_path / "config").write_text(text)
    (tmp_path / "config").chmod(0o600)
    argv = ("explain", "-q", "--budget", "1", "--format", "json", old_kubectl, "get", "nodes")
    done = kubelag.having(KUBECONFIG=tmp_path / "config")(*argv)
    assert done.code == 1
    line = hop(done.report, f"address 127.0.0.1:{port}")
    assert not line["is_well"]
    assert "failed: " in line["sentence"]
    assert "refused" in line["sentence"]


def test_hints_that_are_no_use_are_refused_before_anything_runs(
    kubelag: Program, old_kubectl: Path, home: Path
) -> None:
    for hint in (("--backend", "10.0.0.1"), ("--haproxy", "none.cfg")):
        done = kubelag("explain", *hint, old_kubectl, "get", "nodes")
        assert (done.code, done.out) == (2, "")
        assert len(done.told) == 1
    assert not (home / ".kube").exists()


@needs_capture
def test_captures_of_both_ends_are_joined_to_a_saved_run_and_to_a_live_one(
    kubelag: Program, old_kubectl: Path, kubeconfig: Path, tmp_path: Path
) -> None:
    """Both were taken on loopback: an end like any other to who reads them."""
    port = port_of(kubeconfig)
    near, far, bundle = (tmp_path / name for name in ("near.pcap", "far.pcap", "bundle"))
    with captured(near, port, "lo"), captured(far, port, "any"):
        explained(kubelag, "--save", bundle, old_kubectl, "get", "nodes")
    report = explained(kubelag, "--from", bundle, "--pcap", near, "--peer-pcap", far)
    assert [one for one in report["silences"] if one.startswith("The packets were not late")]
    assert hop(report, "this run")["sentence"].startswith("1 connection, ")
    alone = explained(kubelag, "--pcap", near)
    assert alone["command"]["argv"] == ["near.pcap"]
    done = kubelag("explain", "-q", "--no-proof", "--peer-pcap", far, old_kubectl, "get", "nodes")
    assert done.code == 0
    assert "far.pcap shares no segment with live" in " ".join(done.out.split())


@needs_capture
def test_a_capture_of_another_run_is_refused(
    kubelag: Program, old_kubectl: Path, kubeconfig: Path, tmp_path: Path
) -> None:
    near, bundle = tmp_path / "near.pcap", tmp_path / "bundle"
    explained(kubelag, "--save", bundle, old_kubectl, "get", "nodes")
    with captured(near, port_of(kubeconfig), "lo"):
        explained(kubelag, old_kubectl, "get", "nodes")
    done = kubelag("explain", "--from", bundle, "--pcap", near)
    assert done.code == 1
    assert "near.pcap holds no connection of this run" in done.err
    assert done.out == ""
