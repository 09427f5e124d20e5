"""Large and hostile files: a result or a clear error, in bounded memory and time.

Each is read in a child that may have little memory and processor time, and is then ended by the
kernel; that is what makes these tests fail.
"""

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from observe.capture.script import BEGIN, ip, packets, pcap, tcp

MEMORY_BYTES = 1 << 30
"""Of addresses, numpy's own libraries included: about half of it."""
PROCESSOR_S = 60
READ = f"""
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CPU, ({PROCESSOR_S}, {PROCESSOR_S}))
from kubelag.errors import CaptureError
from kubelag.observe.capture.reading import read_capture
from kubelag.observe.capture.wanted import Wanted
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
try:
    seen = read_capture(Path(sys.argv[1]), Wanted())
except CaptureError as error:
    print("refused:", error)
else:
    print("read:", seen.file.packets, len(seen.connections), *seen.file.notes)
"""
HEADER = pcap([])
TALK = pcap(packets(BEGIN + "0.003 c say 600"))[24:]
COUNT = 3_000_000


def record(length: int, body: bytes = b"", second: int = 1_700_000_000) -> bytes:
    return struct.pack("<IIII", second, 0, length, length) + body


def block(kind: int, size: int, body: bytes = b"") -> bytes:
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


SECTION = block(0x0A0D0D0A, 28, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, 20, struct.pack("<HHI", 101, 0, 0))


def length_of_4_gib() -> Iterator[bytes]:
    yield HEADER + TALK + record(0xFFFFFFFF) + bytes(1 << 20)


def block_of_4_gib() -> Iterator[bytes]:
    yield SECTION + INTERFACE + struct.pack("<II", 6, 0xFFFFFFFC) + bytes(1 << 20)


def records_of_nothing() -> Iterator[bytes]:
    yield HEADER + TALK
    for _ in range(COUNT // 100_000):
        yield record(0) * 100_000


def looks_like_records_everywhere() -> Iterator[bytes]:
    """Each packet holds what looks like the begins of others, of lengths that lead astray."""
    inner = b"".join(record(40 + number % 7) for number in range(60))
    yield HEADER + TALK
    for _ in range(200):
        yield record(len(inner), inner) * 300


def interfaces_without_end() -> Iterator[bytes]:
    yield SECTION
    yield INTERFACE * 1_000_000


def sections_without_end() -> Iterator[bytes]:
    yield (SECTION + INTERFACE) * 100_000


def connections_without_end() -> Iterator[bytes]:
    yield HEADER
    for number in range(300_000):
        body = struct.pack(">H", number % 60_000 + 1024) + tcp("c", 1, 0, 2, 9)[2:]
        data = ip(body, "c")
        data = data[:12] + struct.pack(">I", 0x0A000000 + number // 60_000) + data[16:]
        yield record(len(data), data)


def losses_without_end() -> Iterator[bytes]:
    """Each segment leaves a hole, and then all of it comes again backwards."""
    yield HEADER
    for number in (*range(1, 200_000, 2), *range(200_000, 0, -2)):
        data = ip(tcp("c", number * 100, 1, 16, 9) + bytes(100), "c")
        yield record(len(data), data)


HOSTILE: tuple[tuple[Callable[[], Iterator[bytes]], str], ...] = (
    (length_of_4_gib, "read: 4 1 It is damaged at byte"),
    (block_of_4_gib, "read: 0 0 It is damaged at byte"),
    (records_of_nothing, f"read: {COUNT + 4} 1"),
    (looks_like_records_everywhere, "read: 60004 1"),
    (interfaces_without_end, "read: 0 0 It is damaged"),
    (sections_without_end, "read: 0 0 It is damaged at byte 480,000"),
    (connections_without_end, "read: 300000 65000 It has more than 65,000 connections"),
    (losses_without_end, "read: 200000 1"),
)


@pytest.mark.parametrize(("make", "words"), HOSTILE, ids=[make.__name__ for make, _ in HOSTILE])
def test_a_hostile_file_takes_little(
    make: Callable[[], Iterator[bytes]], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.pcap"
    with path.open("wb") as out:
        out.writelines(make())
    argv = [sys.executable, "-c", READ, path]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    path.unlink()
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith(words), done.stdout[:300]
