"""Reads a whole capture, from a file or a pipe."""

import gc
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kubelag.errors import CaptureError, UsageError
from kubelag.model.network import CaptureFile
from kubelag.observe.capture.building import connections, identities
from kubelag.observe.capture.clock import Clock
from kubelag.observe.capture.complaints import Complaints
from kubelag.observe.capture.following import Following
from kubelag.observe.capture.frames import CHUNK_BYTES, Account, Chunks, Frames, Readable
from kubelag.observe.capture.internet import datagrams
from kubelag.observe.capture.link import LINK_NAMES, unlink
from kubelag.observe.capture.lookups import Lookups
from kubelag.observe.capture.pcap import is_pcap, read_pcap
from kubelag.observe.capture.pcapng import is_pcapng, read_pcapng
from kubelag.observe.capture.segments import segments
from kubelag.observe.capture.wanted import CaptureSeen, Wanted

_GZIP, _ZSTD, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zX"
_FREED_BYTES = 16 << 20
"""More than a batch needs at once; glibc learns nothing from more than 32 MiB."""
_NOT_YOURS = "have it given to you (sudo chown); what tcpdump wrote as root is root's"
_MODIFIED = (b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34")


def read_capture(source: Path, wanted: Wanted, *, name: str = "") -> CaptureSeen:
    """Read a pcap or pcapng file.

    Args:
        source: The file.
        wanted: Which packets are looked at.
        name: What it is called in the report; its own name without it.

    Raises:
        CaptureError: It cannot be read, or is no capture of a kind that can.
    """
    with open(_descriptor(source), "rb", buffering=0) as stream:
        try:
            return read_packets(stream, wanted, name=name or source.name)
        except OSError as error:
            raise CaptureError(f"Reading {source} failed: {error.strerror}") from error


def _descriptor(source: Path) -> int:
    """Of a regular file."""
    try:
        # Without blocking: what is named may be a pipe that nobody writes to.
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise CaptureError(f"You may not read the capture {source}", _NOT_YOURS) from error
    except OSError as error:
        raise CaptureError(f"The capture {source} cannot be read: {error.strerror}") from error
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise CaptureError(f"{source} is {kind}", "name a pcap or pcapng file")
    return fd


def read_packets(
    stream: Readable, wanted: Wanted, *, name: str = "live", chunk_bytes: int = CHUNK_BYTES
) -> CaptureSeen:
    """Read packets from a stream, up to its end.

    Raises:
        CaptureError: It is empty, or no capture of a kind that can be read.
        UsageError: A wanted server is not written as `IP:port`.
    """
    with _sparing_memory():
        return _read(stream, wanted, name, chunk_bytes)


def _read(stream: Readable, wanted: Wanted, name: str, chunk_bytes: int) -> CaptureSeen:
    account = Account()
    chunks, batches = _opened(stream, name, account, chunk_bytes)
    following = _following(wanted, account)
    lookups = Lookups(wanted.name_server_ports, account)
    complaints = Complaints()
    clock = Clock(account)
    for batch in batches:
        _check_links(account, name)
        frames = _in_time(_steadied(batch, clock, account), wanted)
        if not len(frames.at):
            continue
        linked = unlink(frames)
        parcels = datagrams(frames, linked, account)
        streams = segments(frames, linked, parcels, account)
        following.feed(streams)
        lookups.feed(frames, linked, parcels, streams)
        complaints.feed(frames, linked, parcels)
    messages = complaints.settle(following.numbering.flows)
    found = connections(following, account.last_ns, account)
    _note_nothing(account, wanted, found=bool(found))
    return CaptureSeen(
        file=_file(account, name, chunks.total),
        connections=found,
        lookups=lookups.found(),
        messages=messages,
        identities=identities(following),
        trace=following.tracing.trace(),
        covered_ns=_covered_ns(account, wanted),
    )


def _covered_ns(account: Account, wanted: Wanted) -> tuple[int, int]:
    begin_ns, end_ns = account.first_ns or 0, account.last_ns
    if wanted.start_ns is not None:
        begin_ns = max(begin_ns, wanted.start_ns)
    if wanted.end_ns is not None:
        end_ns = min(end_ns, wanted.end_ns)
    return begin_ns, end_ns


@contextmanager
def _sparing_memory() -> Iterator[None]:
    """Keep two servants from doing work for nothing: a fifth of the time, measured.

    The C library gives larger blocks back to the kernel at once, which then has to clear new ones
    for the next batch; it gives up doing so for blocks as large as one that was freed before
    (glibc: mallopt(3), M_MMAP_THRESHOLD). Elsewhere this does nothing. And Python's collector goes
    through all that was made over and over, though nothing here is made in circles.
    """
    bytearray(_FREED_BYTES)
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _opened(
    stream: Readable, name: str, account: Account, chunk_bytes: int
) -> tuple[Chunks, Iterator[Frames]]:
    chunks = Chunks(stream, chunk_bytes)
    chunks.fill(0)
    begin = bytes(chunks.raw[: min(4, chunks.used)])
    if is_pcap(begin):
        return chunks, read_pcap(chunks, name, account)
    if is_pcapng(begin):
        return chunks, read_pcapng(chunks, name, account)
    if not begin:
        raise CaptureError(f"{name} is empty", "capture again, and stop tcpdump by Ctrl-C")
    if begin.startswith((_GZIP, _ZSTD, _XZ)):
        raise CaptureError(f"{name} is compressed", "unpack it first")
    if begin in _MODIFIED:
        raise CaptureError(f"{name} is a pcap of a modified kind", "editcap -F pcap OLD NEW")
    raise CaptureError(f"{name} is neither pcap nor pcapng", "name a file that tcpdump -w wrote")


def _following(wanted: Wanted, account: Account) -> Following:
    try:
        return Following(wanted.servers, account)
    except ValueError as error:
        raise UsageError(f"A wanted server is not written as IP:port: {error}") from error


def _check_links(account: Account, name: str) -> None:
    strange = [link for link in account.links if link not in LINK_NAMES]
    if strange and len(strange) == len(account.links):
        raise CaptureError(
            f"{name} has packets of link type {strange[0]}, which kubelag does not read",
            "capture on an Ethernet card or with -i any",
        )
    if strange:
        account.note(f"Packets of link type {strange[0]} in it were not read")


def _steadied(frames: Frames, clock: Clock, account: Account) -> Frames:
    if not len(frames.at):
        return frames
    ns = clock.steady(frames.ns)
    account.packets += len(ns)
    account.last_ns = int(ns[-1])
    if account.first_ns is None:
        account.first_ns = int(ns[0])
    return Frames(
        data=frames.data, at=frames.at, captured=frames.captured, wire=frames.wire, ns=ns,
        interface=frames.interface, links=frames.links,
    )  # fmt: skip


def _in_time(frames: Frames, wanted: Wanted) -> Frames:
    """Only what lies within the time that is wanted."""
    if wanted.start_ns is None and wanted.end_ns is None:
        return frames
    begin, end = np.searchsorted(
        frames.ns, [wanted.start_ns or 0, (wanted.end_ns or 1 << 62) + 1]
    ).tolist()
    rows = slice(begin, end)
    return Frames(
        data=frames.data, at=frames.at[rows], captured=frames.captured[rows],
        wire=frames.wire[rows], ns=frames.ns[rows], interface=frames.interface[rows],
        links=frames.links,
    )  # fmt: skip


def _note_nothing(account: Account, wanted: Wanted, *, found: bool) -> None:
    if found:
        return
    if not account.packets:
        account.note("It has no packets")
    elif wanted.servers:
        account.note(f"It has no connection to {', '.join(sorted(wanted.servers)[:3])}")
    else:
        account.note("It has no TCP connection")


def _file(account: Account, name: str, size: int) -> CaptureFile:
    if account.unread:
        account.note(f"{account.unread:,} packets were cut or damaged and could not be read")
    return CaptureFile(
        name=name,
        packets=account.packets,
        file_bytes=size,
        start_ns=account.first_ns or 0,
        end_ns=account.last_ns,
        interfaces=tuple(account.interfaces),
        link_types=tuple(LINK_NAMES.get(link, str(link)) for link in account.links),
        lost_packets=account.lost,
        unread_packets=account.unread,
        notes=account.notes,
    )
