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
LONG_S = 300
"""A fifth is lost both ways, and the wait doubles with each loss of a repetition (1, 2, 4, … s), so
that a bound can only be generous; it is there so that a hanging run ends. Arbitrary."""
LOSS = "4,32 0 0 4294963256,53 0 1 3435973836,6 0 0 2,6 0 0 4294967295"


@dataclass(frozen=True)
class Captures:
    """Both ends of the same run."""

    near: Path
    far: Path
    is_lossy: bool


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=LONG_S).stdout


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
        yield _captured(client, server, directory, children, is_lossy=request.param == "lossy")
    finally:
        for child in children:
            child.kill()
            child.communicate()
        for name in (client, middle, server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _captured(
    client: str,
    server: str,
    directory: Path,
    children: list[subprocess.Popen[str]],
    *,
    is_lossy: bool,
) -> Captures:
    made = Captures(near=directory / "near.pcap", far=directory / "far.pcap", is_lossy=is_lossy)
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


def test_what_was_sent_again_is_what_tshark_does_not_take_for_new(captures: Captures) -> None:
    """One bridge with one queue per direction: nothing overtakes, so all that is late was resent.

    What fills a gap sooner than a round trip after it was seen counts as overtaken, though, and
    tshark tells a retransmission from an overtaken segment by its own rule. So its two kinds
    together are the upper bound, and that without what came so soon is the lower one.
    """
    fields = ("tcp.seq", "tcp.len", "frame.time_epoch", "tcp.analysis.keep_alive")
    late = "tcp.analysis.retransmission or tcp.analysis.out_of_order"
    for path in both(captures):
        for one in read(path).connections:
            port = one.client.rpartition(":")[2]
            for way, ours in (("srcport", one.sent_again), ("dstport", one.received_again)):
                rule = f"tcp.{way} == {port} and not tcp.analysis.keep_alive"
                rows = tshark(path, rule, *fields)
                again, soon = sent_again(rows, (one.connect_ns or 0) / 1e9)
                rule = f"{rule} and tcp.len > 0 and ({late})"
                assert again == len(tshark(path, rule, "frame.number"))
                assert again - soon <= ours <= again


def sent_again(rows: list[list[str]], rtt_s: float) -> tuple[int, int]:
    """Segments that begin before what was seen already; how many filled a fresh gap.

    An acknowledgement without payload may be the first to tell of what was lost before it.
    """
    top, gap_s, again, soon = 0, 0.0, 0, 0
    for begin, size, moment, *_ in rows:
        start, at_s = int(begin), float(moment)
        if top and start < top and int(size):
            again += 1
            soon += at_s - gap_s <= rtt_s
        elif top and start > top:
            gap_s = at_s
        top = max(top, start + int(size))
    return again, soon


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


def test_tls_handshakes_begin_with_the_first_byte_of_each_hello(captures: Captures) -> None:
    found = read(captures.near).connections
    for one in found:
        port = one.client.rpartition(":")[2]
        for way, hello_ns in (("srcport", one.hello_ns), ("dstport", one.server_hello_ns)):
            rule = f"tcp.{way} == {port} and tcp.seq == 1 and tcp.len > 0"
            first = tshark(captures.near, rule, "frame.time_epoch")[0][0]
            assert hello_ns == nanoseconds(first)
    assert {one.server_name for one in found} == {"api.example"}
    assert all(one.secured_ns is not None for one in found)


def test_hellos_stand_where_tshark_dissects_them(captures: Captures) -> None:
    """It names the packet that completes a hello, so that a loss within one makes it later."""
    found = read(captures.near).connections
    for kind, ours in (
        (1, [one.hello_ns or 0 for one in found]),
        (2, [one.server_hello_ns or 0 for one in found]),
    ):
        rule = f"tls.handshake.type == {kind}"
        rows = tshark(captures.near, rule, "tcp.stream", "frame.time_epoch")
        theirs = [nanoseconds(moment) for moment in dict(reversed(rows)).values()]
        assert len(theirs) == len(ours)
        if captures.is_lossy:
            assert all(a <= b for a, b in zip(sorted(ours), sorted(theirs), strict=True))
        else:
            assert sorted(ours) == sorted(theirs)


def nanoseconds(epoch: str) -> int:
    whole, _, part = epoch.partition(".")
    return int(whole) * 10**9 + int(part.ljust(9, "0"))


def test_the_silences_are_the_clients_rest_and_the_servers_slow_answer(captures: Captures) -> None:
    if captures.is_lossy:
        pytest.skip("losses make silences of their own; the next test looks at those")
    for one in read(captures.near).connections:
        long = [pause for pause in one.pauses if pause.stage == "data"]
        told = [pause.awaited for pause in long if not pause.retransmissions]
        assert told == ["client", "server"]


def test_nothing_new_crosses_within_a_pause(captures: Captures) -> None:
    for path in both(captures):
        for one in read(path).connections:
            port = one.client.rpartition(":")[2]
            for way in ("srcport", "dstport"):
                rule = f"tcp.{way} == {port} and tcp.len > 0"
                rows = tshark(path, rule, "tcp.seq", "tcp.len", "frame.time_epoch")
                top = 0
                for begin, size, moment in rows:
                    at_ns, end = nanoseconds(moment), int(begin) + int(size)
                    if end > top:
                        assert not any(p.start_ns < at_ns < p.end_ns for p in one.pauses)
                    top = max(top, end)


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
