"""`kubelag explain` with captures that the user brings, as it is typed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from evidence import connection, evidence, looked, path, request
from kubelag.bundle import save
from kubelag.cli.main import main
from kubelag.model.evidence import Run
from kubelag.model.experiment import Trial
from observe.capture.script import BEGIN, BEGIN_S, packets, pcap

S = 1_000_000_000
BEGAN = BEGIN_S * S
SERVER = "10.0.0.2:6443"
QUIET = "0.003 c say 100\n0.004 s say 500\n0.005 c ack\n2.1 c say 100\n2.101 s say 500\n2.102 c ack"
WAY_S = 0.0002
BAD = {
    "empty": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
    "head only": pcap([]),
    "half a head": pcap([])[:12],
    "strange link": pcap(packets(BEGIN), link=147),
}


@pytest.fixture
def near(tmp_path: Path) -> str:
    (tmp_path / "near.pcap").write_bytes(pcap(packets(BEGIN + QUIET)))
    return str(tmp_path / "near.pcap")


@pytest.fixture
def far(tmp_path: Path) -> str:
    """The same at the other end, by a clock that is an hour ahead."""
    seen = [
        (at + (WAY_S if data[15] == 1 else -WAY_S) + 3600, data)
        for at, data in packets(BEGIN + QUIET)
    ]
    (tmp_path / "far.pcap").write_bytes(pcap(sorted(seen)))
    return str(tmp_path / "far.pcap")


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    """The run of which the captures are."""
    asked = replace(request("/api/v1/nodes", 0, 0), start_ns=BEGAN, end_ns=BEGAN + 2 * S)
    seen = evidence(
        run=Run(start_ns=BEGAN, end_ns=BEGAN + 3 * S, exit_code=0),
        requests=(replace(asked, url=f"https://{SERVER}/api/v1/nodes"),),
        connections=(
            replace(
                connection(0, 0),
                client="10.0.0.1:40000",
                server=SERVER,
                seen_by="sockets",
                first_ns=BEGAN,
                last_ns=BEGAN + 3 * S,
            ),
        ),
        path=path(host="10.0.0.2", is_literal=True),
        looks=looked("sockets", "syscalls", "debug_log", "path"),
    )
    save(tmp_path / "bundle", seen, Trial())
    return str(tmp_path / "bundle")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", "--format", "plain", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return " ".join(out.split())


def refused(capsys: pytest.CaptureFixture[str], *words: str, code: int = 1) -> str:
    assert main(["explain", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    return err


def test_a_capture_alone_is_explained(near: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "--pcap", near)
    assert out.startswith("near.pcap 2.10 s the captured client")
    assert "it may change something" not in out
    assert "user's own cache" not in out
    assert "Could not look" not in out


def test_two_captures_alone_say_who_was_silent(
    near: str, far: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told(capsys, "--pcap", near, "--peer-pcap", far)
    assert "The packets were not late" in out
    assert "the client was silent for 2.10 s" in out


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_captures_of_a_saved_run_say_so_in_any_order_of_the_words(
    near: str, far: str, bundle: str, order: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [("--from", bundle), ("--pcap", near), ("--peer-pcap", far)]
    out = told(capsys, *(word for place in order for word in pairs[place]))
    assert out.startswith("kubectl get nodes 3.00 s")
    assert "the client was silent for 2.10 s" in out
    assert "while the client itself had to speak (1 pause: 2.10 s at " in out


def test_two_captures_that_are_swapped_are_not_taken_for_a_healthy_run(
    near: str, far: str, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(capsys, "--from", bundle, "--pcap", far, "--peer-pcap", near)
    assert "far.pcap holds no connection of this run to its API server" in err


def test_a_far_capture_needs_a_near_one(
    far: str, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "give the near one too with --pcap" in refused(
        capsys, "--from", bundle, "--peer-pcap", far
    )
    assert "explain needs a command" in refused(capsys, "--peer-pcap", far, code=2)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("which", ["--pcap", "--peer-pcap"])
def test_a_file_that_is_no_capture_is_one_sentence(
    tmp_path: Path, near: str, kind: str, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pcap").write_bytes(BAD[kind])
    first = () if which == "--pcap" else ("--pcap", near)
    assert "bad.pcap" in refused(capsys, *first, which, str(tmp_path / "bad.pcap"))


def test_what_is_no_file_is_one_sentence(
    tmp_path: Path, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("none.pcap", "fifo", "."):
        err = refused(capsys, "--from", bundle, "--pcap", str(tmp_path / name))
        assert str(tmp_path / name) in err


def test_a_capture_that_was_cut_short_is_used_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.pcap").write_bytes(pcap(packets(BEGIN + QUIET))[:-7])
    assert told(capsys, "--pcap", str(tmp_path / "cut.pcap")).startswith("cut.pcap 2.10 s")


def test_captures_of_two_incidents_are_refused(
    tmp_path: Path, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = packets(BEGIN + "0.003 c say 77\n0.004 s say 11\n0.005 c ack")
    moved = [(at, data[:24] + b"\x55" + data[25:]) for at, data in talk]
    (tmp_path / "other.pcap").write_bytes(pcap(moved))
    err = refused(capsys, "--pcap", near, "--peer-pcap", str(tmp_path / "other.pcap"))
    assert "other.pcap" in err
