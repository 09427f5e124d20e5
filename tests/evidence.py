"""Builds small, readable evidence for tests of everything that judges it."""

from dataclasses import replace
from typing import Any

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
