"""What strace prints becomes syscalls and processes; damage never raises."""

from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.strace_lines import TraceParser

REAL = r"""
6113  1795435865.796520 execve("/tmp/t.sh", [...], 0x7ffccc4d43d8 /* 42 vars */) = 0 <0.000349>
6113  1795435865.797718 vfork( <unfinished ...>
6119  1795435865.797928 execve("/usr/bin/sleep", [...], 0x55d601 /* 42 vars */ <unfinished ...>
6113  1795435865.798125 <... vfork resumed>) = 6119 <0.000377>
6119  1795435865.798149 <... execve resumed>) = 0 <0.000189>
6113  1795435865.798395 wait4(-1,  <unfinished ...>
6119  1795435865.849327 exit_group(0)   = ?
6113  1795435865.849778 <... wait4 resumed>[{WIFEXITED(s)}], 0, NULL) = 6119 <0.051365>
6113  1795435865.890390 fsync(3</home/u/.kube/cache/http/.diskv-temp/1>) = 0 <0.065654>
6113  1795435865.891206 renameat(AT_FDCWD</home/u>, "a\40b", AT_FDCWD</home/u>, "c") = 0 <0.000074>
6113  1795435865.894460 connect(5<socket:[11542]>, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused) <0.000274>
6113  1795435865.895000 connect(6<socket:[1]>, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0 <0.000100>
6113  1795435865.895221 write(7</tmp/p/zz/a>, ""..., 4) = 4 <0.000014>
6113  1795435865.895300 openat(AT_FDCWD</home/u>, "/etc/x", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory) <0.000010>
6113  1795435865.895400 clone(child_stack=0xc0, flags=CLONE_VM|CLONE_FS|CLONE_THREAD) = 6121 <0.00001>
6121  1795435865.895500 fsync(9</home/u/x> <unfinished ...>
6113  1795435865.904247 exit_group(3)   = ?
""".strip().splitlines()  # noqa: E501 - as printed


def parsed(lines: list[str]) -> TraceParser:
    parser = TraceParser()
    for line in lines:
        parser.feed(line)
    return parser


def test_a_real_trace_has_no_bad_line() -> None:
    assert parsed(REAL).bad_lines == 0


def test_descriptors_give_the_path_of_a_sync_with_its_duration() -> None:
    sync = next(call for call in parsed(REAL).syscalls if call.name == "fsync")
    assert sync.path == "/home/u/.kube/cache/http/.diskv-temp/1"
    assert sync.end_ns - sync.start_ns == 65_654_000
    assert sync.start_ns == 1_795_435_865_890_390_000


def test_a_rename_is_known_by_its_target_relative_to_its_directory() -> None:
    rename = next(call for call in parsed(REAL).syscalls if call.name == "renameat")
    assert rename.path == "/home/u/c"


def test_a_write_is_known_by_its_descriptor_and_not_by_its_hidden_buffer() -> None:
    write = next(call for call in parsed(REAL).syscalls if call.name == "write")
    assert write.path == "/tmp/p/zz/a"


def test_addresses_are_read_in_both_families() -> None:
    found = [call.address for call in parsed(REAL).syscalls if call.name == "connect"]
    assert found == ["127.0.0.1:1", "[::1]:443"]


def test_failures_keep_their_symbolic_name() -> None:
    errors = {call.name: call.error for call in parsed(REAL).syscalls if call.error}
    assert errors == {"connect": "ECONNREFUSED", "openat": "ENOENT"}


def test_processes_know_parent_program_and_exit_code_and_threads_are_none() -> None:
    main, child = parsed(REAL).processes()
    assert (main.program, main.parent_pid, main.exit_code) == ("/tmp/t.sh", None, 3)
    assert (child.program, child.parent_pid, child.exit_code) == ("/usr/bin/sleep", 6113, 0)


def test_a_fork_of_a_fork_that_executes_nothing_runs_what_the_first_one_runs() -> None:
    lines = [
        '1  1.000000 execve("/bin/sh", ["sh"], 0x1) = 0 <0.000001>',
        "1  2.000000 clone(child_stack=NULL, flags=SIGCHLD) = 2 <0.000001>",
        "2  3.000000 clone(child_stack=NULL, flags=SIGCHLD) = 3 <0.000001>",
    ]
    assert [process.program for process in parsed(lines).processes()] == ["/bin/sh"] * 3


def test_a_call_that_never_ended_is_cut_at_the_end_and_belongs_to_its_process() -> None:
    pending = parsed(REAL).pending_at(1_795_435_866_000_000_000)
    assert [(call.name, call.path) for call in pending] == [("fsync", "/home/u/x")]


def test_octal_escapes_in_names_are_undone() -> None:
    line = '1  1.000000 mkdirat(AT_FDCWD</a>, "\\303\\244 b", 0750) = 0 <0.000001>'
    assert parsed([line]).syscalls[0].path == "/a/ä b"


@given(st.lists(st.text(max_size=120), max_size=20))
def test_junk_never_raises(lines: list[str]) -> None:
    parser = parsed(lines)
    parser.processes()
    parser.pending_at(0)


@given(st.data())
def test_cut_lines_never_raise(data: st.DataObject) -> None:
    cut = [line[: data.draw(st.integers(0, len(line)))] for line in REAL]
    parsed(cut).processes()
