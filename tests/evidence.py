"""Builds small, readable evidence for tests of everything that judges it."""

from dataclasses import replace
from typing import Any, Literal

from kubelag.model.evidence import (
    CacheDirectory,
    Client,
    Evidence,
    HostSample,
    Look,
    Machine,
    Process,
    Request,
    Run,
    Syscall,
    TreeSample,
)
from kubelag.model.network import Burst, Connection, Lookup, Pause
from kubelag.model.path import AddressProbe, Backend, NameProbe, PathMap, Resolver

SERVER = "127.0.0.1:6443"
MASTERS = ("master1", "master2", "master3")
MS = 1_000_000
S = 1_000_000_000
START = 1_800_000_000 * S
ROOT = "/home/u/.kube/cache"

OBSERVERS = (
    "syscalls",
    "calls_in_flight",
    "processes",
    "debug_log",
    "process_tree",
    "host",
    "kubeconfig",
    "sockets",
    "capture",
    "path",
    "server_probes",
)


def looked(*names: str) -> tuple[Look, ...]:
    return tuple(
        Look(
            observer=name,
            state="looked",
            how="strace --seccomp-bpf, narrow",
            recorded=("fsync", "rename", "connect", "execve") if name == "syscalls" else (),
        )
        for name in names
    )


def blind(name: str, why: str = "strace is not installed") -> Look:
    return Look(observer=name, state="could_not_look", how=why)


def cache(**changes: Any) -> CacheDirectory:
    base = CacheDirectory(
        root=ROOT,
        rule="HOME",
        state="cold",
        file_system="ext4",
        device="loop0",
        real_root=ROOT,
        ttl_s=600,
    )
    return replace(base, **changes)


def evidence(wall_ns: int = 10 * S, **changes: Any) -> Evidence:
    """A run in which everybody looked and nothing was seen."""
    base = Evidence(
        command=("kubectl", "get", "nodes"),
        cold=True,
        repeatable=True,
        repeatable_why="get only reads",
        run=Run(start_ns=START, end_ns=START + wall_ns, exit_code=0),
        machine=Machine(hostname="m1", kernel="6.1", os="Debian 12", processors=2, is_root=True),
        client=Client(
            name="kubectl",
            path="/usr/bin/kubectl",
            real_path="/usr/bin/kubectl",
            kind="kubectl",
            version="1.20.2",
        ),
        cache=cache(),
        looks=looked(*OBSERVERS, "cache_directory"),
        host=(host(0), host(wall_ns)),
        tree=(tree(0), tree(wall_ns)),
        path=path(),
    )
    return replace(base, **changes)


def path(**changes: Any) -> PathMap:
    """A healthy way: a name, one address, and three API servers behind it."""
    base = PathMap(
        server="https://api.example.com:6443",
        host="api.example.com",
        port=6443,
        tls_name="api.example.com",
        is_literal=False,
        addresses=(SERVER,),
        resolver=Resolver(servers=("10.0.0.2:53", "10.0.0.3:53")),
        names=(name_probe("A", addresses=("127.0.0.1",)), name_probe("AAAA")),
        front=tuple(probe(backend=name) for name in MASTERS),
        backends=tuple(
            Backend(name=name, address=f"10.0.1.{n}:6443", source="endpoints")
            for n, name in enumerate(MASTERS, start=1)
        ),
        behind=tuple(
            probe(address=f"10.0.1.{n}:6443", hop="backend", backend=name)
            for n, name in enumerate(MASTERS, start=1)
        ),
    )
    return replace(base, **changes)


def probe(**changes: Any) -> AddressProbe:
    """One healthy connection of kubelag's own."""
    base = AddressProbe(
        address=SERVER,
        hop="front",
        at_ns=START + 20 * S,
        connect_ns=MS,
        tls_ns=3 * MS,
        answer_ns=2 * MS,
        status=401,
        took_ns=6 * MS,
        protocol="h2",
        rtt_ns=MS,
        segment_bytes=1448,
    )
    return replace(base, **changes)


def silent(**changes: Any) -> AddressProbe:
    """One that never got an answer."""
    nothing = {
        "connect_ns": None,
        "tls_ns": None,
        "answer_ns": None,
        "status": None,
        "rtt_ns": None,
    }
    gone = {"error": "no answer within 3 s", "took_ns": 3 * S}
    return probe(**(nothing | gone | changes))


def name_probe(kind: Literal["A", "AAAA"], **changes: Any) -> NameProbe:
    """A question that was answered at once."""
    base = NameProbe(
        name="api.example.com", kind=kind, server="10.0.0.2:53", took_ns=MS, code="NOERROR"
    )
    return replace(base, **changes)


def without(*observers: str, why: str = "strace is not installed") -> tuple[Look, ...]:
    """Everybody looked but these."""
    others = (name for name in (*OBSERVERS, "cache_directory") if name not in observers)
    return (*looked(*others), *(blind(observer, why) for observer in observers))


def call(name: str, begin_ns: int, took_ns: int, path: str, **more: Any) -> Syscall:
    start = START + begin_ns
    return Syscall(pid=1, name=name, start_ns=start, end_ns=start + took_ns, path=path, **more)


def request(path: str, begin_ns: int, took_ns: int) -> Request:
    start = START + begin_ns
    url = f"https://127.0.0.1:6443{path}"
    return Request(verb="GET", url=url, status=200, start_ns=start, end_ns=start + took_ns)


def connection(begin_ns: int, took_ns: int, number: int = 1, **changes: Any) -> Connection:
    """A healthy one: a round trip of 1 ms, and 2 ms for TLS."""
    start = START + begin_ns
    base = Connection(
        client=f"127.0.0.1:{40000 + number}",
        server=SERVER,
        seen_by="capture",
        first_ns=start,
        last_ns=start + took_ns,
        syn_ns=start,
        syns=1,
        established_ns=start + MS,
        hello_ns=start + MS,
        server_hello_ns=start + 2 * MS,
        secured_ns=start + 3 * MS,
        rtt_ns=MS,
        sent_segments=10,
        received_segments=10,
        received_bytes=10_000,
    )
    return replace(base, **changes)


def unanswered(begin_ns: int, took_ns: int, server: str = SERVER, number: int = 1) -> Connection:
    """An attempt at one."""
    return connection(
        begin_ns,
        took_ns,
        number,
        server=server,
        established_ns=None,
        hello_ns=None,
        server_hello_ns=None,
        secured_ns=None,
        rtt_ns=None,
        received_segments=0,
        received_bytes=0,
        syns=4,
    )


def burst(sender: Literal["client", "server"], begin_ns: int, size: int = 500) -> Burst:
    """A few segments at one moment."""
    at = START + begin_ns
    return Burst(sender=sender, start_ns=at, end_ns=at + MS // 10, payload_bytes=size, segments=1)


def pause(begin_ns: int, took_ns: int, **changes: Any) -> Pause:
    """A silence in which the server was expected to speak."""
    start = START + begin_ns
    base = Pause(
        start_ns=start, end_ns=start + took_ns, awaited="server", stage="data", why="it was asked"
    )
    return replace(base, **changes)


def lookup(begin_ns: int, took_ns: int | None, **changes: Any) -> Lookup:
    """A question for the address of the server; unanswered where it took no time."""
    asked = START + begin_ns
    base = Lookup(
        server="10.0.0.2:53",
        asked_ns=asked,
        answered_ns=None if took_ns is None else asked + took_ns,
        seen_by="capture",
        name="api.example.com",
        kind="A",
        code="" if took_ns is None else "NOERROR",
    )
    return replace(base, **changes)


def process(pid: int, parent: int | None, program: str, begin_ns: int, took_ns: int) -> Process:
    start = START + begin_ns
    return Process(
        pid=pid,
        parent_pid=parent,
        start_ns=start,
        end_ns=start + took_ns,
        program=program,
        chain=(program,),
        exit_code=0,
    )


def host(at_ns: int, **changes: Any) -> HostSample:
    base = HostSample(
        at_ns=START + at_ns,
        cpu_busy_ns=at_ns // 10,
        cpu_total_ns=2 * at_ns,
        load_1min=0.1,
        memory_available_bytes=8 * 2**30,
        memory_total_bytes=16 * 2**30,
        psi_memory_some_us=0,
        throttled_periods=0,
        throttled_ns=0,
        memory_limit_hits=0,
    )
    return replace(base, **changes)


def tree(at_ns: int, **changes: Any) -> TreeSample:
    base = TreeSample(at_ns=START + at_ns, cpu_ns=0, run_queue_ns=0, major_faults=0, minor_faults=0)
    return replace(base, **changes)


def incident() -> Evidence:
    """The founding incident: 150 syncs of 65 ms, one after another, after a burst of requests."""
    syncs = tuple(
        call("fsync", 200 * MS + i * 66 * MS, 65 * MS, f"{ROOT}/http/.diskv-temp/{i}")
        for i in range(148)
    )
    asked = tuple(request(f"/apis/g{i}.example.com/v1", 100 * MS, 90 * MS) for i in range(74))
    return evidence(
        syscalls=syncs, requests=(*asked, request("/api/v1/nodes?limit=500", 9_980 * MS, 5 * MS))
    )
