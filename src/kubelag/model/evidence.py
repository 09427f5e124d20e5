"""What observers saw, never an opinion; every figure with its clock and unit.

All times are nanoseconds since the epoch on the wall clock (CLOCK_REALTIME), since that is the
one clock that strace, a client's debug log and our own samples share.
"""

from dataclasses import dataclass
from typing import Literal

from kubelag.model.network import CaptureFile, Comparison, Connection, Lookup, PathMessage
from kubelag.model.path import Neighbour, PathMap
from kubelag.model.units import counted, seconds

LookState = Literal["looked", "could_not_look", "not_asked"]
CacheState = Literal["cold", "warm", "expired", "unwritable", "dangling_link", "unknown"]
PhaseKind = Literal[
    "credential", "dns", "connect", "proxy", "tls", "wait", "server", "transfer", "cache"
]

_PHASE_TITLES: tuple[tuple[PhaseKind, str], ...] = (
    ("credential", "credential plugin"),
    ("dns", "name look-up"),
    ("connect", "connect"),
    ("proxy", "proxy"),
    ("tls", "TLS"),
    ("wait", "asked to wait"),
    ("server", "server"),
    ("transfer", "transfer"),
)
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one observer says about itself. "Could not look" never reads as healthy."""

    observer: str
    """The observer's noun, for example `syscalls`."""
    state: LookState
    how: str
    """With what it looked (`strace --seccomp-bpf, narrow`), or why it could not."""
    events: int = 0
    """How many events it recorded."""
    lost: int = 0
    """How many events are known to be missing."""
    recorded: tuple[str, ...] = ()
    """For `syscalls`: the names of the calls of which it wrote down every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Syscall:
    """One finished system call of the observed process tree."""

    pid: int
    """The thread that made it."""
    name: str
    start_ns: int
    end_ns: int
    path: str | None = None
    """The file it acted on (the target for a rename), in full; None where unknown."""
    result: int | None = None
    error: str | None = None
    """Symbolic errno such as `ENOENT`; None on success."""
    address: str | None = None
    """`IP:port` for connect and for sendto/recvfrom on port 53."""
    is_sampled: bool = False
    """Seen in flight rather than recorded: times are good to a few milliseconds, the result is not
    known, and calls that follow one another on the same file may count as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the observed tree, from its exec (or fork) to its exit."""

    pid: int
    parent_pid: int | None
    start_ns: int
    end_ns: int | None
    """None where its exit was not seen."""
    program: str
    """Path of the last program it executed; never its arguments."""
    chain: tuple[str, ...] = ()
    """Every program it executed, in order: a wrapper shows as more than one entry."""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request as the client's own debug log tells it."""

    verb: str
    url: str
    """Without user information; query values of secrets redacted."""
    status: int | None
    """None where no answer came."""
    start_ns: int
    end_ns: int
    """When the answer's headers had arrived; the body comes later (causes.md section 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientNote:
    """One other line of the client's log that tells something about time."""

    kind: Literal[
        "throttled",
        "retry_after",
        "cache_write_failed",
        "cache_skipped",
        "config_loaded",
        "discovery_failed",
        "websocket_fallback",
    ]
    at_ns: int
    """For `throttled` and `retry_after` when the wait was over."""
    wait_ns: int = 0
    """How long the client says it waited, for `throttled` and `retry_after`."""
    subject: str = ""
    """URL, group-version or path, redacted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSample:
    """Cumulative counters of the observed process tree at one moment."""

    at_ns: int
    cpu_ns: int
    """User and system time since the command began (schedstat)."""
    run_queue_ns: int
    """Time its threads were runnable and waited for a processor (schedstat), summed."""
    major_faults: int
    minor_faults: int
    block_io_ns: int | None = None
    """Delay by block I/O (delay accounting), where the kernel counts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSample:
    """Cumulative counters of one block device (/proc/diskstats) at one moment."""

    device: str
    """Kernel name, for example `loop0`."""
    reads: int
    writes: int
    read_bytes: int
    write_bytes: int
    read_ms: int
    write_ms: int
    io_ms: int | None = None
    """Time during which at least one request was in flight."""
    flushes: int | None = None
    flush_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """What the machine looked like at one moment; counters are cumulative."""

    at_ns: int
    cpu_busy_ns: int
    """Summed over all processors since boot."""
    cpu_total_ns: int
    """Summed over all processors since boot, idle included."""
    load_1min: float
    memory_available_bytes: int
    memory_total_bytes: int
    psi_cpu_some_us: int | None = None
    psi_memory_some_us: int | None = None
    psi_memory_full_us: int | None = None
    psi_io_some_us: int | None = None
    psi_io_full_us: int | None = None
    throttled_periods: int | None = None
    """nr_throttled of the command's CPU cgroup."""
    throttled_ns: int | None = None
    """Throttled time of the command's CPU cgroup."""
    memory_limit_hits: int | None = None
    """Times the command's memory cgroup reached its limit (failcnt; memory.events max + high)."""
    disks: tuple[DiskSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who the client really is, behind wrappers and links."""

    name: str
    """As the user typed it."""
    path: str
    """Where PATH led."""
    real_path: str
    """The binary that did the work, after links, wrappers and exec."""
    executed: str = ""
    """The same binary by the name that was executed, links unresolved; empty where unknown."""
    wrappers: tuple[str, ...] = ()
    """Programs that ran before the real binary, in order."""
    kind: str = "unknown"
    """`kubectl` or `unknown`."""
    version: str | None = None
    """For example `1.20.2`; None where it would not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDirectory:
    """Where the client keeps its discovery cache, and on what."""

    root: str
    """Absolute path after the client's own rule (causes.md section 3a)."""
    rule: str
    """Which rule gave the root: `--cache-dir`, `KUBECACHEDIR`, `HOME`, or `working directory`."""
    host_directory: str | None = None
    """The directory below `discovery/` for the server, where the server is known."""
    state: CacheState = "unknown"
    """As it was before the command ran."""
    fresh_until_ns: int | None = None
    """When the oldest discovery entry expires by the client's TTL."""
    ttl_s: int | None = None
    """The client's TTL: 600 up to 1.23, 21600 from 1.24."""
    entries: int = 0
    """How many discovery files there were before the command ran."""
    file_system: str | None = None
    """For example `ext4`, `tmpfs`, `fuse.sshfs`."""
    mount_point: str | None = None
    device: str | None = None
    """Kernel name of the block device, None where there is none."""
    real_root: str | None = None
    """The root with every link resolved, as descriptors show it."""
    link_target: str | None = None
    """Where the root points if it is a symbolic link."""
    problem: str | None = None
    """Why it cannot be written, in one clause."""

    @property
    def place(self) -> str:
        """For example `ext4 on loop0`, as much of it as is known."""
        return " on ".join(part for part in (self.file_system, self.device) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How the observed command began and ended."""

    start_ns: int
    end_ns: int
    exit_code: int | None
    """None where a signal ended it."""
    signal: int | None = None
    interrupted: bool = False
    """True where the user pressed Ctrl-C before it ended."""
    stderr_tail: str = ""
    """The last lines it wrote to standard error, redacted; empty on success."""

    @property
    def wall_ns(self) -> int:
        """From its begin to its end."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine, for the reader of a bundle elsewhere."""

    hostname: str
    kernel: str
    os: str
    processors: int
    is_root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPhase:
    """One stretch of a request by kubelag's own client, by its monotonic clock."""

    kind: PhaseKind
    """`server`: from the request's last byte to the answer's first. `transfer`: from there to the
    answer's last. `wait`: the server asked for patience (Retry-After)."""
    took_ns: int
    detail: str = ""
    """The name looked up, the address, the TLS version, the plugin's program; redacted."""
    is_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRequest:
    """One of the command's requests, or a simpler one, sent by kubelag's own client."""

    purpose: str = "again"
    """`again`: the command's own. `health`: `GET /livez` as nobody. `health_as_user`: the same with
    the user's credentials. `from_memory`: the command's own with `resourceVersion=0`, which the
    server answers from its cache."""
    verb: str
    url: str
    """As the client's log has it, redacted."""
    status: int | None
    """None where no whole answer came; the observer's look says why."""
    took_ns: int
    """From when it was handed to kubelag's client to the end of the answer."""
    phases: tuple[OwnPhase, ...] = ()
    """In the order in which they ended; a plugin's run and each address tried among them."""
    priority_level: str = ""
    """The server's own word for the queue that it went through
    (`X-Kubernetes-PF-PriorityLevel-UID`); empty where it said none."""

    @property
    def has_succeeded(self) -> bool:
        """Whether the server gave what was asked for."""
        return self.status in _SUCCESS

    def spent_ns(self, kind: PhaseKind) -> int:
        """The time in phases of one kind, summed."""
        return sum(phase.took_ns for phase in self.phases if phase.kind == kind)

    @property
    def outline(self) -> str:
        """For example `connect 0.21 ms, TLS 1.62 ms, server 1.51 s, transfer 0.10 ms`."""
        parts = [
            f"{title} {seconds(self.spent_ns(kind))}{self._failures(kind)}"
            for kind, title in _PHASE_TITLES
            if any(phase.kind == kind for phase in self.phases)
        ]
        if self.status is not None and not self.has_succeeded:
            parts.append(f"HTTP {self.status}")
        return ", ".join(parts)

    def _failures(self, kind: PhaseKind) -> str:
        tried = [phase.is_failure for phase in self.phases if phase.kind == kind]
        return (
            f" ({sum(tried)} of {counted(len(tried), 'try', 'tries')} failed)" if any(tried) else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was seen in one observed run."""

    command: tuple[str, ...]
    """As the user typed it, secrets redacted."""
    cold: bool
    """Whether the run had a fresh cache directory of its own."""
    repeatable: bool
    """Whether the command is known to change nothing, so that it may be run again."""
    repeatable_why: str
    run: Run
    machine: Machine
    client: Client
    cache: CacheDirectory | None
    looks: tuple[Look, ...]
    syscalls: tuple[Syscall, ...] = ()
    processes: tuple[Process, ...] = ()
    requests: tuple[Request, ...] = ()
    notes: tuple[ClientNote, ...] = ()
    tree: tuple[TreeSample, ...] = ()
    host: tuple[HostSample, ...] = ()
    credential_plugin: str | None = None
    """Program of the kubeconfig user's exec plugin, where there is one."""
    own_request: OwnRequest | None = None
    """What became of one of the requests with kubelag's own client; None where it sent none."""
    server_probes: tuple[OwnRequest, ...] = ()
    """Simpler requests by kubelag's own client: which part of the server is slow."""
    path: PathMap | None = None
    """The way to the server; None where it was not looked for."""
    lookups: tuple[Lookup, ...] = ()
    connections: tuple[Connection, ...] = ()
    """By their begin; each once, by its best witness."""
    neighbours: tuple[Neighbour, ...] = ()
    """Which cards answered for the connections' addresses during the run, at each change."""
    messages: tuple[PathMessage, ...] = ()
    """What routers said about the connections (ICMP)."""
    captures: tuple[CaptureFile, ...] = ()
    """The near capture, then the far one."""
    comparison: Comparison | None = None
    """The near capture against the far one, where there are two."""

    def look(self, observer: str) -> Look | None:
        """What the named observer said of itself, None where it was never asked."""
        return next((look for look in self.looks if look.observer == observer), None)

    def has_looked(self, observer: str) -> bool:
        """Whether the named observer really looked."""
        look = self.look(observer)
        return look is not None and look.state == "looked"
