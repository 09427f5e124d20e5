"""Real captures over a pair of network namespaces, read by kubelag and by tshark."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from kubelag.observe.capture.comparing import compare
from kubelag.observe.capture.reading import read_capture
from kubelag.observe.capture.wanted import CaptureSeen, Wanted

TOOLS = ("ip", "tc", "tcpdump", "tshark", "editcap")
MISSING = [name for name in TOOLS if shutil.which(name) is None]
WHY = "needs root" if os.geteuid() else f"{', '.join(MISSING)} not installed" if MISSING else ""
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(WHY), reason=WHY or "-")]

SERVER = """
import socket, ssl, sys, threading, time
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1])
listening = socket.create_server(("10.77.0.2", 6443), backlog=50)
print("ready", flush=True)
def serve(plain):
    with context.wrap_socket(plain, server_side=True) as one:
        while asked := one.recv(4096):
            time.sleep(0.4 if b"slow" in asked else 0)
            one.sendall(bytes(200_000 if b"big" in asked else 900))
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""
CLIENT = """
import socket, ssl, sys, time
context = ssl._create_unverified_context()
def ask(one, words, size):
    one.sendall(words.ljust(200))
    while size > 0:
        size -= len(one.recv(65536))
for _ in range(int(sys.argv[1])):
    plain = socket.create_connection(("10.77.0.2", 6443))
    with context.wrap_socket(plain, server_hostname="api.example") as one:
        ask(one, b"first", 900)
        time.sleep(0.3)
        ask(one, b"slow", 900)
        ask(one, b"big", 200_000)
"""
LOSS = "4,32 0 0 4294963256,53 0 1 3435973836,6 0 0 2,6 0 0 4294967295"


@dataclass(frozen=True)
class Captures:
    """Both ends of the same run."""

    near: Path
    far: Path


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module", params=["lossless", "lossy"])
def captures(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Captures]:
    """A client and a server on a bridge in a namespace of its own, which may drop a fifth."""
    mark = uuid.uuid4().hex[:6]
    client, middle, server = (f"klcap{part}{mark}" for part in "ams")
    directory = tmp_path_factory.mktemp("captures")
    children: list[subprocess.Popen[str]] = []
    try:
        for name in (client, middle, server):
            run("ip", "netns", "add", name)
        run("ip", "-n", middle, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", middle, "link", "set", "bridge", "up")
        for name, address in ((client, "10.77.0.1/24"), (server, "10.77.0.2/24")):
            port = f"port{name[5]}"
            run(
                "ip",
                "-n",
                middle,
                "link",
                "add",
                port,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                name,
            )
            run("ip", "-n", middle, "link", "set", port, "master", "bridge", "up")
            run("ip", "-n", name, "addr", "add", address, "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
            if request.param == "lossy":
                inside = ("ip", "netns", "exec", middle, "tc")
                run(*inside, "qdisc", "add", "dev", port, "clsact")
                run(*inside, "filter", "add", "dev", port, "egress", "bpf", "da", "bytecode", LOSS)
        yield _captured(client, server, directory, children)
    finally:
        for child in children:
            child.kill()
            child.communicate()
        for name in (client, middle, server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _captured(
    client: str, server: str, directory: Path, children: list[subprocess.Popen[str]]
) -> Captures:
    made = Captures(near=directory / "near.pcap", far=directory / "far.pcap")
    trustme.CA().issue_cert("api.example").private_key_and_cert_chain_pem.write_to_path(
        directory / "pem"
    )

    def start(namespace: str, *argv: str | Path) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *argv], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        children.append(child)
        return child

    serving = start(server, sys.executable, "-c", SERVER, directory / "pem")
    assert serving.stdout is not None
    assert serving.stdout.readline() == "ready\n"
    dumps = []
    for namespace, path in ((client, made.near), (server, made.far)):
        dump = start(
            namespace,
            "tcpdump",
            "-Z",
            "root",
            "-i",
            "eth0",
            "-U",
            "-s",
            "0",
            "-w",
            path,
            "--immediate-mode",
        )
        assert dump.stderr is not None
        while "listening on" not in dump.stderr.readline():
            assert dump.poll() is None
        dumps.append(dump)
    run("ip", "netns", "exec", client, sys.executable, "-c", CLIENT, "3")
    for dump in dumps:
        dump.send_signal(signal.SIGINT)
        dump.wait(10)
    return made


def read(path: Path) -> CaptureSeen:
    return read_capture(path, Wanted())


def tshark(path: Path, expression: str, *fields: str) -> list[list[str]]:
    columns = [word for field in fields for word in ("-e", field)]
    text = run("tshark", "-n", "-r", path, "-Y", expression, "-T", "fields", *columns)
    return [line.split("\t") for line in text.splitlines()]


def both(captures: Captures) -> tuple[Path, Path]:
    return captures.near, captures.far


def test_conversations_and_payload_are_those_that_tshark_counts(captures: Captures) -> None:
    for path in both(captures):
        rows = tshark(path, "tcp.len > 0", "tcp.stream", "tcp.srcport", "tcp.len")
        streams = {row[0] for row in tshark(path, "tcp", "tcp.stream")}
        found = read(path).connections
        assert len(found) == len(streams)
        sent = sum(row[1] != "6443" for row in rows)
        assert sum(one.sent_segments for one in found) == sent
        assert sum(one.received_segments for one in found) == len(rows) - sent
        assert max(one.largest_received_bytes for one in found) == max(int(row[2]) for row in rows)


def test_every_byte_that_was_seen_is_counted_once(captures: Captures) -> None:
    for path in both(captures):
        for one in read(path).connections:
            port = one.client.rpartition(":")[2]
            rows = tshark(path, f"tcp.dstport == {port} and tcp.len > 0", "tcp.seq", "tcp.len")
            total, until = 0, 0
            for begin, size in sorted((int(seq), int(size)) for seq, size in rows):
                total += max(0, begin + size - max(begin, until))
                until = max(until, begin + size)
            assert one.received_bytes == total


def test_retransmissions_are_those_of_tshark(captures: Captures) -> None:
    for path in both(captures):
        again = tshark(path, "tcp.analysis.retransmission and tcp.len > 0", "frame.number")
        out_of_order = tshark(path, "tcp.analysis.out_of_order and tcp.len > 0", "frame.number")
        ours = sum(one.sent_again + one.received_again for one in read(path).connections)
        # What fills a gap soon is one program's retransmission and the other's reordering.
        slack = 2 + len(again) // 5
        assert len(again) - slack <= ours <= len(again) + len(out_of_order) + slack


def test_handshakes_take_what_tshark_says(captures: Captures) -> None:
    answers = tshark(
        captures.near,
        "tcp.flags.syn == 1 and tcp.flags.ack == 1 and not tcp.analysis.retransmission",
        "tcp.stream",
        "frame.time_epoch",
    )
    found = read(captures.near).connections
    ours = sorted(one.established_ns for one in found if one.established_ns is not None)
    first = dict(reversed(answers))
    theirs = sorted(int(moment.replace(".", "")) for moment in first.values())
    assert ours == theirs


def test_tls_handshakes_begin_where_tshark_finds_them(captures: Captures) -> None:
    found = read(captures.near).connections
    for kind, ours in (
        (1, [one.hello_ns for one in found]),
        (2, [one.server_hello_ns for one in found]),
    ):
        rows = tshark(
            captures.near, f"tls.handshake.type == {kind}", "tcp.stream", "frame.time_epoch"
        )
        theirs = {int(moment.replace(".", "")) for _, moment in rows}
        assert theirs <= {one for one in ours if one is not None} | theirs
        assert len([one for one in ours if one in theirs]) >= len(found) - 1
    assert {one.server_name for one in found} == {"api.example"}
    assert all(one.secured_ns is not None for one in found)


def test_the_silences_are_the_clients_rest_and_the_servers_slow_answer(captures: Captures) -> None:
    if tshark(captures.near, "tcp.analysis.retransmission", "frame.number"):
        return  # then losses make silences of their own
    for one in read(captures.near).connections:
        long = [pause for pause in one.pauses if pause.stage == "data"]
        assert {"client", "server"} <= {pause.awaited for pause in long}


def test_a_shifted_clock_is_found_within_its_error(captures: Captures, tmp_path: Path) -> None:
    shifted = tmp_path / "shifted.pcap"
    run("editcap", "-t", "3723.5", captures.far, shifted)
    found = compare(read(captures.near), read(shifted))
    assert abs(found.offset_ns + 3_723_500_000_000) <= found.offset_error_ns + 2000
    assert found.connections == len(read(captures.near).connections)


def test_losses_between_the_ends_are_told_from_none(captures: Captures) -> None:
    found = compare(read(captures.near), read(captures.far))
    again = sum(one.sent_again for one in read(captures.near).connections)
    assert (found.lost_forth > 0) <= (again > 0)
    if not again and not found.lost_back:
        assert found.sentence.startswith("The packets were not late")
