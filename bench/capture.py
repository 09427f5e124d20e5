"""How fast a capture is read, beside `tshark -q -z conv,tcp` on the same file, and in what memory.

The file is synthesised (the same each time): thousands of TLS connections, each with a handshake,
requests, answers of several segments, acknowledgements and some repetitions, interleaved as they
would be on a busy balancer, and cut after 262 bytes of each packet. Each round reads it with both,
in a random order. The memory is the peak of the whole program (VmHWM), Python and numpy included.

    python bench/capture.py --rounds 3
    python bench/capture.py some.pcap
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from measuring import (
    Goal,
    Table,
    end_cleanly,
    finish,
    interval,
    machine,
    machine_line,
    parser,
    scratch,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_BYTES = 1 << 30
SNAPLEN = 262
"""Enough for headers, names and the begin of a record: what tcpdump's own default once was."""
CONNECTIONS = 5_000
LIMIT_RATIO = 0.1
"""Of tshark's time."""
LIMIT_GIB = 1.0
HEADER_BYTES = 54
RECORD = np.dtype(
    [
        ("s", "<u4"),
        ("us", "<u4"),
        ("kept", "<u4"),
        ("wire", "<u4"),
        ("macs", "S12"),
        ("kind", ">u2"),
        ("version", "u1"),
        ("service", "u1"),
        ("total", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("sum", ">u2"),
        ("source", ">u4"),
        ("target", ">u4"),
        ("sport", ">u2"),
        ("dport", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("length", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("check", ">u2"),
        ("urgent", ">u2"),
        ("payload", "S16"),
    ]
)
READ = """
import resource, sys, time
from pathlib import Path
from kubelag.observe.capture.reading import read_capture
from kubelag.observe.capture.wanted import Wanted
begin = time.perf_counter()
seen = read_capture(Path(sys.argv[1]), Wanted())
took_s = time.perf_counter() - begin
peak_kib = next(int(line.split()[1]) for line in open("/proc/self/status") if "VmHWM" in line)
print(took_s, peak_kib, seen.file.packets, len(seen.connections))
"""


class Step(NamedTuple):
    """One segment of the conversation that every connection has."""

    side: int
    payload: int
    flags: int
    begin: bytes
    after_us: int


class Reading(NamedTuple):
    """What one reading said of itself."""

    wall_s: float
    """The whole program, as tshark's is taken."""
    cpu_s: float
    """Of the whole program, user and system: other work on the machine disturbs it less."""
    read_s: float
    """Without the start of Python."""
    peak_gib: float
    packets: int
    connections: int


def conversation(exchanges: int) -> list[Step]:
    """A handshake, then requests with answers of four segments; each fiftieth has one twice."""
    syn, ack, push, fin = 2, 16, 24, 17
    hello, answer = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x03\x00\x7a\x02"
    steps = [
        Step(0, 0, syn, b"", 0),
        Step(1, 0, syn | ack, b"", 200),
        Step(0, 0, ack, b"", 50),
        Step(0, 517, push, hello, 100),
        Step(1, 1448, ack, answer, 900),
        Step(1, 900, push, b"", 10),
        Step(0, 0, ack, b"", 40),
        Step(0, 80, push, b"\x14\x03\x03\x00\x01\x01", 300),
        Step(1, 6, push, b"\x14\x03\x03\x00\x01\x01", 200),
    ]
    for number in range(exchanges):
        steps.append(Step(0, 150, push, b"\x17\x03\x03\x00\x91", 500))
        steps.append(Step(1, 0, ack, b"", 200))
        for part in range(4):
            steps.append(Step(1, 1448, ack, b"\x17\x03\x03\x16\x9b" if not part else b"", 20))
            if part % 2:
                steps.append(Step(0, 0, ack, b"", 10))
        if number % 50 == 49:  # noqa: PLR2004 - as described
            steps.append(Step(1, -1448, ack, b"", 3000))
    return [*steps, Step(0, 0, fin, b"", 1000), Step(1, 0, fin, b"", 200)]


def synthesise(path: Path, size: int = FILE_BYTES) -> int:
    """Write the file; returns the number of packets."""
    per_exchange = sum(_record_bytes(abs(step.payload)) for step in conversation(1)[9:-2])
    exchanges = max(1, size // CONNECTIONS // per_exchange)
    script = conversation(exchanges)
    moves = np.array([(step.side, step.payload, step.flags, step.after_us) for step in script])
    waves = 16  # so that they overlap, and fit into memory
    with path.open("wb") as out:
        out.write(bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 06010000 01000000"))
        for wave in range(waves):
            numbers = np.arange(wave, CONNECTIONS, waves)
            out.write(_wave(numbers, script, moves, wave * 40_000_000))
    return len(script) * CONNECTIONS


def _wave(numbers: np.ndarray, script: list[Step], moves: np.ndarray, begin_us: int) -> memoryview:
    rng = np.random.default_rng(int(numbers[0]))
    side, size, flags, after = (np.tile(column, (len(numbers), 1)) for column in moves.T)
    after = after * rng.uniform(0.5, 1.5, (len(numbers), 1))
    at = begin_us + rng.uniform(0, 5e6, (len(numbers), 1)) + np.cumsum(after, axis=1)
    records = np.zeros(at.shape, RECORD)
    payload = np.abs(size)
    fresh = np.maximum(size, 0) + ((flags & 3) > 0)
    sent = [np.cumsum(np.where(side == which, fresh, 0), axis=1) for which in (0, 1)]
    isn = rng.integers(0, 1 << 32, (2, len(numbers), 1))
    mine = np.where(side == 0, sent[0] + isn[0], sent[1] + isn[1])
    other = np.where(side == 0, sent[1] + isn[1], sent[0] + isn[0])
    again = size < 0
    records["seq"] = (mine - np.where(again, payload, fresh)) & 0xFFFFFFFF
    records["ack"] = np.where(flags == 2, 0, other & 0xFFFFFFFF)  # noqa: PLR2004 - the SYN
    host, port = 0x0A000000 + numbers[:, None] // 200, 32768 + numbers[:, None] % 28000
    client = side == 0
    records["source"], records["target"] = (
        np.where(client == first, host, 0x0A640001) for first in (True, False)
    )
    records["sport"], records["dport"] = (
        np.where(client == first, port, 6443) for first in (True, False)
    )
    records["macs"] = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
    records["kind"], records["version"], records["ttl"], records["protocol"] = 0x800, 0x45, 64, 6
    records["length"], records["flags"], records["window"] = 0x50, flags, 501
    records["id"] = rng.integers(1, 65535, at.shape)
    records["total"] = HEADER_BYTES - 14 + payload
    records["payload"] = np.array([step.begin for step in script], "S16")
    records["s"] = 1_700_000_000 + at // 1_000_000
    records["us"] = at % 1_000_000
    records["wire"] = HEADER_BYTES + payload
    records["kept"] = np.minimum(SNAPLEN, records["wire"])
    return _joined(records.ravel()[np.argsort(at, axis=None, kind="stable")])


def _joined(records: np.ndarray) -> memoryview:
    """Records of their own lengths, one after the other."""
    lengths = records["kept"].astype(np.int64) + 16
    begins = np.cumsum(lengths) - lengths
    out = np.zeros(int(lengths.sum()) + RECORD.itemsize, np.uint8)
    raw = records.view(np.uint8).reshape(len(records), -1)
    for has_payload in (False, True):
        some = np.flatnonzero((lengths > 16 + HEADER_BYTES) == has_payload)
        width = np.arange(RECORD.itemsize if has_payload else 16 + HEADER_BYTES)
        short = lengths[some] < RECORD.itemsize
        for rows, columns in ((some[~short], width), (some[short], width[: 16 + HEADER_BYTES + 6])):
            if len(rows):
                fits = columns[columns < int(lengths[rows].min())]
                out[begins[rows][:, None] + fits] = raw[rows][:, fits]
    return memoryview(out)[: int(lengths.sum())]


def _record_bytes(payload: int) -> int:
    return 16 + min(SNAPLEN, HEADER_BYTES + payload)


class Took(NamedTuple):
    """What a whole program took."""

    wall_s: float
    cpu_s: float
    peak_gib: float
    said: str


def timed(argv: list[str]) -> Took:
    """Run a program to its end."""
    with tempfile.TemporaryFile("w+") as out:
        begin = time.perf_counter()
        program = subprocess.Popen(argv, stdout=out, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(program.pid, 0)
        wall_s = time.perf_counter() - begin
        program.returncode = os.waitstatus_to_exitcode(status)
        if program.returncode:
            sys.exit(f"{argv[0]} ended with {program.returncode}")
        out.seek(0)
        cpu_s = used.ru_utime + used.ru_stime
        return Took(wall_s, cpu_s, used.ru_maxrss / 2**20, out.read())


def ours(path: Path) -> Reading:
    """Read it with kubelag, in a process of its own."""
    took = timed([sys.executable, "-c", READ, os.fspath(path)])
    text = took.said.split()
    return Reading(
        took.wall_s, took.cpu_s, float(text[0]), int(text[1]) / 2**20, int(text[2]), int(text[3])
    )


def theirs(path: Path) -> Took:
    """Have tshark count its conversations."""
    return timed(["tshark", "-n", "-q", "-z", "conv,tcp", "-r", os.fspath(path)])


def measure(path: Path, rounds: int) -> tuple[list[Reading], list[Took]]:
    """Interleaved rounds in random order, after one reading that brings the file into memory."""
    path.read_bytes()
    readings: list[Reading] = []
    others: list[Took] = []
    arms: list[Callable[[], None]] = [
        lambda: readings.append(ours(path)),
        lambda: others.append(theirs(path)),
    ]
    for number in range(rounds):
        random.shuffle(arms)
        for arm in arms:
            arm()
        tell(f"capture: round {number + 1} of {rounds}")
    return readings, others


def _ratio(which: str, ours_s: list[float], theirs_s: list[float]) -> Goal:
    ratios = [one / other for one, other in zip(ours_s, theirs_s, strict=True)]
    ratio, low, high = interval(ratios)
    return Goal(
        what=f"reading a capture: kubelag ÷ tshark -q -z conv,tcp, {which} time",
        unit="x",
        limit=LIMIT_RATIO,
        value=ratio,
        ci95=(low, high),
    )


def _row(name: str, took: list[Reading] | list[Took], packets: int) -> tuple[str, ...]:
    wall_s = interval([one.wall_s for one in took])[0]
    cpu_s = interval([one.cpu_s for one in took])[0]
    peak_gib = max(one.peak_gib for one in took)
    speed = f"{packets / wall_s / 1e6:.2f} million/s"
    return name, f"{wall_s:.2f} s", f"{cpu_s:.2f} s", speed, f"{peak_gib:.2f} GiB"


def main() -> None:
    """Run it all, print and save."""
    options_parser = parser(__doc__, rounds=3)
    options_parser.add_argument("file", type=Path, nargs="?", help="a capture to read instead")
    options = options_parser.parse_args()
    if shutil.which("tshark") is None:
        sys.exit("tshark is not installed; there is nothing to compare with")
    end_cleanly()
    facts = machine()
    print(machine_line(facts))
    with scratch() as directory:
        path = options.file or directory / "synthesised.pcap"
        if not options.file:
            tell(f"capture: {synthesise(path):,} packets written")
        size = path.stat().st_size
        readings, others = measure(path, options.rounds)
    goals = [
        _ratio("wall", [one.wall_s for one in readings], [one.wall_s for one in others]),
        _ratio("processor", [one.cpu_s for one in readings], [one.cpu_s for one in others]),
        Goal(what="reading a capture: peak memory in GiB", unit="", limit=LIMIT_GIB,
             value=round(max(one.peak_gib for one in readings), 2)),
    ]  # fmt: skip
    packets = readings[0].packets
    rows = (
        _row("kubelag, whole program", readings, packets),
        _row("tshark -q -z conv,tcp", others, packets),
    )
    title = (
        f"{size / 2**30:.2f} GiB, {packets:,} packets, {readings[0].connections:,} connections, "
        f"{options.rounds} interleaved rounds"
    )
    header = ("program", "wall", "processor", "packets", "peak memory")
    table = Table(title=title, header=header, rows=rows)
    print(table.title)
    for row in table.rows:
        print("  " + " · ".join(row))
    raw = {
        "kubelag": [one._asdict() for one in readings],
        "tshark": [one._replace(said="")._asdict() for one in others],
    }
    finish(options.output, facts, goals, [table], raw)


if __name__ == "__main__":
    main()
