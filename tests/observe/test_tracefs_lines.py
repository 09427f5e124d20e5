"""What the kernel's trace_pipe prints becomes calls and processes; damage never raises."""

from collections.abc import Iterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.evidence import Process, Syscall
from kubelag.observe.tracefs_lines import TraceLine, parse_trace_line
from kubelag.observe.tracefs_story import Story

RECORDED = (Path(__file__).parent / "data" / "trace-pipe-6.18.txt").read_text("latin-1")
ROOT = 691
BEGUN_NS = 3_616_414_000_000
END_NS = 3_617_000_000_000


def parsed(lines: Iterable[str]) -> list[TraceLine]:
    return [event for line in lines if (event := parse_trace_line(line)) is not None]


def told(events: Iterable[TraceLine], root: int = ROOT) -> Story:
    story = Story(root=root, begun_ns=BEGUN_NS, to_wall_ns=lambda ns: ns)
    for event in events:
        story.feed(event)
    return story


def recorded() -> tuple[Syscall, ...]:
    return told(parsed(RECORDED.splitlines())).syscalls(END_NS)


def processes() -> tuple[Process, ...]:
    return told(parsed(RECORDED.splitlines())).processes()


def named(calls: Iterable[Syscall], name: str) -> list[Syscall]:
    return [call for call in calls if call.name == name]


def test_every_recorded_line_of_ours_is_understood() -> None:
    ignored = [
        line
        for line in RECORDED.splitlines()
        if parse_trace_line(line) is None and "inet_sock_set_state" not in line
    ]
    assert ignored == []


def test_a_call_lasts_from_its_entry_to_its_return() -> None:
    (sync,) = named(recorded(), "fsync")
    assert (sync.start_ns, sync.end_ns) == (3_616_466_293_000, 3_616_478_987_000)
    assert (sync.result, sync.error, sync.pid) == (0, None, ROOT)


def test_a_failure_reads_as_strace_prints_it() -> None:
    assert [(call.result, call.error) for call in named(recorded(), "rename")] == [
        (0, None),
        (-1, "ENOENT"),
    ]


def test_connections_have_the_address_of_the_socket_event_within_them() -> None:
    assert [call.address for call in named(recorded(), "connect")] == ["127.0.0.1:9", "[::1]:9"]


def test_an_exec_has_the_path_of_the_program_that_ran() -> None:
    assert [call.path for call in named(recorded(), "execve")] == ["/usr/bin/python3", "/bin/sh"]


def test_threads_are_no_processes_and_exit_codes_are_known() -> None:
    assert [(one.pid, one.parent_pid, one.program, one.exit_code) for one in processes()] == [
        (691, None, "/usr/bin/python3", 0),
        (705, 691, "/bin/sh", 3),
    ]


def test_a_process_ends_with_its_last_thread() -> None:
    assert [one.end_ns for one in processes()] == [3_616_504_670_000, 3_616_491_424_000]


def test_a_call_that_never_returned_ends_with_the_recording_and_has_no_result() -> None:
    lines = RECORDED.splitlines()
    entry = next(index for index, line in enumerate(lines) if "sys_fsync(" in line)
    calls = told(parsed(lines[: entry + 1])).syscalls(END_NS)
    (sync,) = named(calls, "fsync")
    assert (sync.end_ns, sync.result, sync.error) == (END_NS, None, None)


def test_an_exec_by_another_thread_comes_back_as_the_process() -> None:
    head = "         kubectl-12      [001] .....  3616.5"
    events = parsed(
        [
            f"{head}00001: task_newtask: pid=13 comm=kubectl clone_flags=50f00 oom_score_adj=0",
            "         kubectl-13      [001] .....  3616.500002: sys_execve(filename: 0x1, argv: 0)",
            f"{head}00003: sched_process_exec: filename=/bin/b pid=12 old_pid=13",
            f"{head}00004: sys_execve -> 0x0",
        ]
    )
    story = told(events, root=12)
    (call,) = story.syscalls(END_NS)
    assert (call.pid, call.path, call.result) == (12, "/bin/b", 0)
    assert story.processes()[0].chain == ("/bin/b",)


def test_a_fork_that_executes_nothing_runs_its_parents_program() -> None:
    head = "              sh-12      [001] .....  3616.5"
    events = parsed(
        [
            f"{head}00001: sched_process_exec: filename=/bin/sh pid=12 old_pid=12",
            f"{head}00002: task_newtask: pid=14 comm=sh clone_flags=1200000 oom_score_adj=0",
        ]
    )
    child = told(events, root=12).processes()[1]
    assert (child.program, child.chain) == ("/bin/sh", ())


def test_any_program_name_and_a_thread_group_column_are_understood() -> None:
    line = " a-1 [0] ) : .x -77      (     70) [002] d..1.    12.000003: sys_fsync(fd: 3)"
    event = parse_trace_line(line)
    assert event is not None
    assert (event.tid, event.at_ns, event.name) == (77, 12_000_003_000, "fsync")


def test_a_string_that_a_newer_kernel_prints_is_the_path() -> None:
    line = (
        "         kubectl-5       [000] .....     1.000000: "
        'sys_openat(dfd: 0xffffff9c, filename: 0x7f00 "/home/\xc3\xbc", flags: 0, mode: 0)'
    )
    event = parse_trace_line(line)
    assert event is not None
    assert event.text == "/home/ü"


def test_names_are_those_of_strace() -> None:
    line = "         kubectl-5       [000] .....     1.000000: sys_newlstat -> 0xfffffffffffffe00"
    event = parse_trace_line(line)
    assert event is not None
    assert (event.name, event.error) == ("lstat", "ERESTARTSYS")


@given(st.text())
def test_junk_is_no_event(line: str) -> None:
    parse_trace_line(line)


@given(st.data())
def test_damaged_recordings_never_raise(data: st.DataObject) -> None:
    lines = RECORDED.splitlines()
    kept = data.draw(st.lists(st.sampled_from(lines), max_size=30))
    cuts = data.draw(st.lists(st.integers(0, 120), min_size=len(kept), max_size=len(kept)))
    story = told(parsed(line[cut % 7 :][: cut + 40] for line, cut in zip(kept, cuts, strict=True)))
    assert all(call.name for call in story.syscalls(END_NS))
    story.processes()


@given(st.permutations(RECORDED.splitlines()))
def test_events_in_any_order_never_raise(lines: list[str]) -> None:
    story = told(parsed(lines))
    story.syscalls(END_NS)
    story.processes()
