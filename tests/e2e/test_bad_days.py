"""Bad input and bad days: one clear sentence with the next step, the right exit code, no trace."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubelag.observe import tracefs
from program import Program, ended_by, fake_kubectl, script, tree, until_line

pytestmark = pytest.mark.real
NOBODY = 65534
GET_NODES = ("get", "nodes")


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Path]:
    """Makes a kubectl that does these lines of shell."""

    def make(*lines: str) -> Path:
        return fake_kubectl(tmp_path / "kubectl", *lines)

    return make


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Where a script says that it has come so far: opening it waits for that."""
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


# Commands that cannot be run


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("no-such-command", 127, "is on none of the directories in PATH; check the spelling"),
        ("./gone", 127, "does not exist; check the path"),
        ("./plain", 126, "may not be executed; try: chmod +x"),
        ("./directory", 126, "is a directory; name the program in it"),
        ("./orphan", 126, "is a script whose interpreter does not exist; correct its first line"),
        ("./kubectl", 126, "is a script whose interpreter does not exist; correct its first line"),
        ("./link", 126, "is a link to nothing; correct or remove the link"),
    ],
)
def test_a_command_that_cannot_run_is_told_with_the_code_of_a_shell(
    kubelag: Program, tmp_path: Path, name: str, code: int, said: str
) -> None:
    (tmp_path / "plain").write_text("x")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("gone")
    for orphan in ("orphan", "kubectl"):
        script(tmp_path / orphan).write_text("#!/no/such/interpreter\n")
    done = kubelag("explain", "--once", name, *GET_NODES, cwd=tmp_path)
    assert (done.code, done.out) == (code, "")
    assert len(done.told) == 1
    assert done.told[0].startswith("kubelag: ")
    assert said in done.told[0]


def test_a_file_of_another_format_is_not_executable_or_run_as_a_shell_would(
    kubelag: Program, tmp_path: Path
) -> None:
    strange = script(tmp_path / "strange")
    strange.write_bytes(b"\x7fELF but not really")
    done = kubelag("explain", "--once", strange)
    assert done.code in {2, 126, 127}
    assert "Traceback" not in done.err


# Commands that end badly


def test_a_failing_command_keeps_its_code_and_its_words_are_in_the_report(
    kubelag: Program, old_kubectl: Path
) -> None:
    done = kubelag("explain", "--no-proof", old_kubectl, "get", "nodes/missing")
    assert done.code == 1
    assert 'nodes "missing" not found' in " ".join(done.out.split())
    assert "exit code 1" in done.out


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_command_that_a_signal_kills_gives_the_code_of_a_shell(
    kubelag: Program, fake: Callable[..., Path], number: signal.Signals
) -> None:
    done = kubelag("explain", fake(f"ulimit -c 0; kill -{number} $$"), *GET_NODES)
    assert done.code == 128 + number
    assert f"ended by {number.name}" in done.out


def test_a_run_that_a_signal_ended_is_not_repeated(
    kubelag: Program, fake: Callable[..., Path], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    kubelag("explain", fake(f"echo x >> {count}; sleep 0.3; kill -9 $$"), *GET_NODES)
    assert count.read_text() == "x\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "lines",
    [("sleep 1000",), ("trap '' INT TERM HUP", "sleep 1000 & wait; wait")],
    ids=["obedient", "deaf"],
)
def test_a_command_that_never_ends_is_ended_with_all_that_it_started(
    kubelag: Program,
    fake: Callable[..., Path],
    fifo: Path,
    number: signal.Signals,
    lines: tuple[str, ...],
) -> None:
    process = kubelag.start("explain", fake(f"echo up > {fifo}", *lines), *GET_NODES)
    fifo.read_text()
    done = ended_by(process, number)
    assert done.code == 130
    assert "stopped after" in done.out
    assert "the figures tell only what was seen until then" in done.out
    assert done.told == []


def test_ctrl_c_at_a_terminal_gives_the_report_of_what_was_seen(
    kubelag: Program, fake: Callable[..., Path], fifo: Path
) -> None:
    ours, theirs = pty.openpty()
    process = kubelag.start(
        *("explain", fake(f"echo up > {fifo}", "sleep 1000"), *GET_NODES),
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True},
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),
    )
    os.close(theirs)
    fifo.read_text()
    os.write(ours, b"\x03")
    shown = _all_of(ours)
    assert process.wait(timeout=30) == 130
    assert b"the figures tell only what was seen until then" in shown
    assert b"Traceback" not in shown


def _all_of(terminal: int) -> bytes:
    shown = b""
    with open(terminal, "rb", buffering=0) as stream:  # noqa: PTH123 - opened by descriptor
        try:
            while chunk := stream.read(65536):
                shown += chunk
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
    return shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_run_that_is_cut_short_tells_what_was_seen(
    kubelag: Program, old_kubectl: Path, slow_home: Path, fifo: Path, number: signal.Signals
) -> None:
    slow = kubelag.having(HOME=slow_home)
    client = script(fifo.parent / "kubectl", _answer(old_kubectl), f"echo up > {fifo}; {RUN}")
    client.write_text(client.read_text().replace("CLIENT", str(old_kubectl)))
    process = slow.start("explain", "--cold", "--format", "json", client, *GET_NODES)
    fifo.read_text()
    done = ended_by(process, number)
    assert done.code == 130, done.err
    assert done.report["command"]["interrupted"]
    assert all(line["verdict"] != "proven" for line in done.report["verdicts"])


RUN = 'exec CLIENT "$@"'


def _answer(client: Path) -> str:
    """A wrapper is asked for its version first, and must not say that it has come so far."""
    return f'case " $* " in *" version "*) exec {client} "$@";; esac'


@pytest.mark.parametrize(
    ("block", "number"), [("block 1", signal.SIGINT), ("block 3", signal.SIGTERM)]
)
def test_experiments_that_are_cut_short_report_the_finished_blocks(
    kubelag: Program, old_kubectl: Path, slow_home: Path, block: str, number: signal.Signals
) -> None:
    slow = kubelag.having(HOME=slow_home)
    process = slow.start("explain", "--cold", "--format", "json", old_kubectl, *GET_NODES)
    until_line(process, block)
    done = ended_by(process, number)
    assert done.code == 130
    assert "Traceback" not in done.err
    (line,) = (one for one in done.report["verdicts"] if one["cause"] == "discovery_cache_fsync")
    assert line["verdict"] == "likely"
    assert (line["proof"] is None) == (block == "block 1")
    assert "experiments: interrupted" in done.report["notes"]


def test_what_a_killed_program_leaves_ends_by_itself_or_is_swept_by_the_next_run(
    kubelag: Program, old_kubectl: Path, slow_home: Path
) -> None:
    (slow_home / ".kube").mkdir()
    slow = kubelag.having(HOME=slow_home)
    process = slow.start("explain", "--cold", old_kubectl, *GET_NODES)
    until_line(process, "block 1")
    process.kill()
    process.communicate()
    assert slow.left_processes() == []
    assert slow.left_directories() != []
    slow("explain", "--cold", "--budget", "0.1", old_kubectl, *GET_NODES)
    assert slow.left() == []


# Kubeconfigs


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist; correct KUBECONFIG"),
        ("{{{", "is not valid YAML at line"),
        ("[]", "kubeconfig"),
        ("current-context: gone", "names the context 'gone'"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_sentence(
    kubelag: Program, old_kubectl: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    config = tmp_path / "config"
    if content is not None:
        config.write_text(content)
    done = kubelag.having(KUBECONFIG=config)("explain", old_kubectl, *GET_NODES)
    assert (done.code, done.out) == (1, "")
    assert len(done.told) == 1
    assert said in done.told[0]


def test_a_server_that_refuses_is_told_in_the_clients_words(
    kubelag: Program, old_kubectl: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        '{"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],'
        ' "contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}'
    )
    done = kubelag.having(KUBECONFIG=tmp_path / "config")("explain", old_kubectl, *GET_NODES)
    assert done.code == 1
    assert "127.0.0.1:1 was refused" in " ".join(done.out.split())


# Machines that lack something


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with a shell and no strace."""
    (tmp_path / "bin").mkdir()
    for name in ("sh", "sleep", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "/nowhere")
    return tmp_path / "bin"


FORBIDDEN = "strace: ptrace(PTRACE_TRACEME, ...): Operation not permitted"


@pytest.mark.parametrize(
    ("strace", "why"),
    [(None, "strace is not installed"), (FORBIDDEN, f"strace may not trace here ({FORBIDDEN})")],
    ids=["no strace", "ptrace forbidden"],
)
def test_without_a_tracer_it_says_what_it_could_not_look_at(
    kubelag: Program, old_kubectl: Path, bare_path: Path, strace: str | None, why: str
) -> None:
    if strace:
        script(bare_path / "strace", f"echo '{strace}' >&2", "exit 1")
    words = ("explain", "--cold", "--no-proof", "--format", "json", old_kubectl, *GET_NODES)
    blind = _without_tracefs(kubelag.having(PATH=bare_path))
    done = blind(*words)
    assert done.code == 0, done.err
    told = {look["observer"]: look["why"] for look in done.report["could_not_look"]}
    assert why in told["syscalls"]
    unknown = {one["cause"] for one in done.report["verdicts"] if one["verdict"] == "unknown"}
    assert {"discovery_cache_fsync", "cache_metadata_slow"} <= unknown
    assert done.report["observer"]["kind"] == "no system calls watched"


def _without_tracefs(program: Program) -> Program:
    """The program where the kernel lets nobody record: as it is for everybody but root."""
    code = (
        "import sys; from kubelag.observe import tracefs;"
        "tracefs.probe = lambda: 'tracefs may only be used by root';"
        "from kubelag.cli.main import main; sys.exit(main())"
    )
    return program.running_as(sys.executable, "-c", code)


def test_without_a_tmpfs_the_cache_is_not_tried_in_memory(
    kubelag: Program, old_kubectl: Path, slow_home: Path
) -> None:
    code = (
        "import sys; from kubelag.experiments import cache_on_memory, scratch;"
        "cache_on_memory.memory_place = scratch.memory_place = lambda: None;"
        "from kubelag.cli.main import main; sys.exit(main())"
    )
    bare = kubelag.having(HOME=slow_home).running_as(sys.executable, "-c", code)
    done = bare("explain", "--cold", "--format", "json", old_kubectl, *GET_NODES)
    assert done.code == 0, done.err
    line = done.report["verdicts"][0]
    assert (line["cause"], line["verdict"]) == ("discovery_cache_fsync", "proven")
    assert "cache_on_memory" not in {arm["name"] for arm in line["proof"]["arms"]}
    again = bare("explain", "--format", "json", old_kubectl, *GET_NODES)
    assert again.code == 0, again.err


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("words", [(), ("--cold",)], ids=["as it is", "cold"])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_home_that_takes_no_files_is_the_cause_and_no_accident(
    kubelag: Program, old_kubectl: Path, tiny: Path, how: str, words: tuple[str, ...]
) -> None:
    if how == "full":
        with pytest.raises(OSError, match="No space left"):
            (tiny / "filler").write_bytes(bytes(2 << 20))
    else:
        subprocess.run(["mount", "-o", "remount,ro", tiny], check=True)
    asked = ("explain", *words, "--budget", "0.1", "--format", "json", old_kubectl, *GET_NODES)
    done = kubelag.having(HOME=tiny)(*asked)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    (line,) = (one for one in done.report["verdicts"] if one["cause"] == "cache_unwritable")
    assert ("is full" if how == "full" else "mounted read-only") in line["sentence"]
    assert "Errno" not in line["sentence"]
    assert not done.report["command"]["cold"]


@pytest.fixture
def nobody(kubeconfig: Path, old_kubectl: Path, home: Path) -> Iterator[Callable[[str], Program]]:
    """The program as an ordinary user, who has a home, a kubeconfig and a kubectl of his own."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    python = _python_for_everybody()
    place = Path(tempfile.mkdtemp(prefix="kubelag-nobody-"))
    shutil.copy(kubeconfig, place / "config")
    shutil.copy(old_kubectl, place / "kubectl")
    for path in (place, *place.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    env = {
        "HOME": str(place),
        "KUBECONFIG": str(place / "config"),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    program = Program(env=env, argv=(*user, python, "-m", "kubelag"))
    yield program
    assert program.left() == []
    shutil.rmtree(place)
    assert home.exists()


def _python_for_everybody() -> str:
    """A Python of the same version that any user may run: ours may be in somebody's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = [part for part in sys.path if part and "site-packages" in part]
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        tried = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", "--clear-groups", python, "-c", "import msgspec"],
            env={"PYTHONPATH": ":".join(path)},
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return python
    pytest.skip("no Python with the packages can be run by an ordinary user here")


def test_an_ordinary_user_is_watched_over_by_strace(nobody: Program) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    kubectl = f"{nobody.env['HOME']}/kubectl"
    words = ("explain", "--cold", "--no-proof", "--format", "json", kubectl, *GET_NODES)
    done = nobody(*words)
    assert done.code == 0, done.err
    assert done.report["observer"]["kind"].startswith("strace --seccomp-bpf")
    assert done.report["observer"]["events"] > 0
    assert "discovery_cache_fsync" in {
        *(line["cause"] for line in done.report["ruled_out"]),
        *(line["cause"] for line in done.report["verdicts"]),
    }


def test_an_ordinary_users_files_that_root_owns_are_told(nobody: Program) -> None:
    home = Path(nobody.env["HOME"])
    (home / ".kube/cache").mkdir(parents=True, mode=0o755)
    kubectl = f"{home}/kubectl"
    done = nobody("explain", "--no-proof", "--format", "json", kubectl, *GET_NODES)
    assert done.code == 0, done.err
    (line,) = (one for one in done.report["verdicts"] if one["cause"] == "cache_unwritable")
    assert f"may not be written by user {NOBODY}" in line["sentence"]


def test_an_ordinary_users_kubeconfig_that_he_may_not_read_is_one_sentence(
    nobody: Program,
) -> None:
    Path(nobody.env["KUBECONFIG"]).chmod(0)
    done = nobody("explain", f"{nobody.env['HOME']}/kubectl", *GET_NODES)
    assert (done.code, done.out) == (1, "")
    assert len(done.told) == 1
    assert "cannot be read: permission denied; check its path and mode" in done.told[0]


def test_an_ordinary_user_can_interrupt_what_strace_watches(nobody: Program, fifo: Path) -> None:
    home = Path(nobody.env["HOME"])
    fake_kubectl(home / "kubectl", f"echo up > {home}/fifo", "sleep 1000")
    os.mkfifo(home / "fifo")
    os.chown(home / "fifo", NOBODY, NOBODY)
    process = nobody.start("explain", home / "kubectl", *GET_NODES)
    (home / "fifo").read_text()
    done = ended_by(process, signal.SIGINT)
    assert done.code == 130
    assert "the figures tell only what was seen until then" in done.out


# What must not be run, or not twice


@pytest.fixture
def counting(fake: Callable[..., Path], tmp_path: Path) -> tuple[Path, Callable[[], int]]:
    """A kubectl that counts its runs."""
    count = tmp_path / "count"
    count.touch()
    client = fake(f"echo x >> {count}; sleep 0.3")
    return client, lambda: count.read_text().count("x")


@pytest.mark.parametrize(
    ("words", "code", "runs"),
    [
        (("CLIENT", "delete", "pod", "x"), 1, 0),
        (("--once", "CLIENT", "delete", "pod", "x"), 0, 1),
        (("--cold", "CLIENT", "delete", "pod", "x"), 1, 0),
        (("--cold", "--once", "CLIENT", "delete", "pod", "x"), 2, 0),
        (("CLIENT", "get", "pods", "-w"), 1, 0),
        (("--once", "CLIENT", "get", "pods", "--watch"), 0, 1),
        (("CLIENT", "neat"), 1, 0),
        (("--output", "/no/such/place/r", "CLIENT", "get", "pods"), 1, 0),
        (("--save", "HOME", "CLIENT", "get", "pods"), 1, 0),
        (("--format", "papyrus", "CLIENT", "get", "pods"), 2, 0),
        (("--budget", "0", "CLIENT", "get", "pods"), 2, 0),
        (("--budget", "soon", "CLIENT", "get", "pods"), 2, 0),
        (("--from", "bundle", "CLIENT", "get", "pods"), 2, 0),
        (("--no-such-option", "CLIENT", "get", "pods"), 2, 0),
        ((), 2, 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_runs_as_often_as_it_may(  # noqa: PLR0913 - fixtures and one row of the table
    kubelag: Program,
    counting: tuple[Path, Callable[[], int]],
    home: Path,
    words: tuple[str, ...],
    code: int,
    runs: int,
) -> None:
    client, count = counting
    (home / "something").touch()
    known = {"CLIENT": str(client), "HOME": str(home)}
    done = kubelag("explain", *(known.get(word, word) for word in words))
    assert (done.code, count()) == (code, runs), done.err
    assert "Traceback" not in done.err
    if not runs:
        assert done.out == ""
        assert done.told[-1].startswith("kubelag")
    else:
        assert "not repeated" in done.out


def test_an_output_that_cannot_be_written_is_told_before_anything_runs(
    kubelag: Program, fake: Callable[..., Path], tmp_path: Path
) -> None:
    client = fake(f"touch {tmp_path}/ran")
    for output in ("/proc/report", tmp_path, tmp_path / "no" / "report", client / "report"):
        done = kubelag("explain", "--output", output, client, *GET_NODES)
        assert done.code == 1
        assert "choose another place with --output" in done.err
    assert not (tmp_path / "ran").exists()


def test_a_budget_for_no_more_than_a_block_proves_nothing(
    kubelag: Program, old_kubectl: Path, slow_home: Path
) -> None:
    slow = kubelag.having(HOME=slow_home)
    words = ("explain", "--cold", "--budget", "0.1", "--format", "json", old_kubectl, *GET_NODES)
    report = slow(*words).report
    assert report["verdicts"][0]["verdict"] == "likely"
    assert "too few runs" in report["verdicts"][0]["sentence"]
    assert "experiments: the budget was spent after 1 block" in report["notes"]


@pytest.mark.parametrize(
    ("content", "said"),
    [({}, "is no bundle"), ({"manifest.json": "{"}, "is damaged")],
    ids=["empty", "damaged"],
)
def test_a_bad_bundle_is_one_sentence(
    kubelag: Program, tmp_path: Path, content: dict[str, str], said: str
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name, text in content.items():
        (bundle / name).write_text(text)
    done = kubelag("explain", "--from", bundle)
    assert (done.code, done.out) == (1, "")
    assert len(done.told) == 1
    assert said in done.told[0]


# Where the report goes


@pytest.fixture
def bundle(kubelag: Program, fake: Callable[..., Path], tmp_path: Path) -> Path:
    """A small bundle."""
    kubelag("explain", "--once", "--save", tmp_path / "bundle", fake("exit 0"), "delete", "x")
    return tmp_path / "bundle"


def test_a_reader_who_has_read_enough_is_no_accident(kubelag: Program, bundle: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = kubelag("explain", "--from", bundle, stdout=write)
    os.close(write)
    assert done.code == 128 + signal.SIGPIPE
    assert done.err == ""


@pytest.mark.parametrize("words", [(), ("--output", "/dev/full")], ids=["stdout", "output"])
def test_a_place_that_is_full_is_one_sentence(
    kubelag: Program, bundle: Path, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = kubelag("explain", "--from", bundle, *words, stdout=full)
    assert done.code == 1
    assert len(done.told) == 1
    assert "no space left on device; choose another place with --output" in _flat(done.err)


def _flat(text: str) -> str:
    return text.replace("(", "").replace(")", "")


def test_a_closed_standard_output_is_one_sentence(kubelag: Program, bundle: Path) -> None:
    closed = kubelag.running_as("/bin/sh", "-c", 'exec "$@" >&-', "sh", *kubelag.argv)
    done = closed("explain", "--from", bundle)
    assert (done.code, len(done.told)) == (1, 1)
    assert "standard output" in done.told[0]


@pytest.mark.parametrize(
    ("env", "has_colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(
    kubelag: Program, bundle: Path, env: dict[str, str], *, has_colour: bool
) -> None:
    ours, theirs = pty.openpty()
    coloured = kubelag.having(**{"TERM": "xterm-256color", **env})
    process = coloured.start("explain", "--from", bundle, stdout=theirs)
    os.close(theirs)
    shown = _all_of(ours)
    assert process.wait(timeout=30) == 0
    assert b"delete" in shown
    assert (b"\x1b[" in shown and b"m" in shown.partition(b"\x1b[")[2][:8]) == has_colour


def test_the_users_files_are_as_before_where_the_command_failed(
    kubelag: Program, old_kubectl: Path, home: Path
) -> None:
    kubelag("explain", "-q", "--no-proof", old_kubectl, *GET_NODES)
    before = tree(home)
    kubelag("explain", "-q", old_kubectl, "get", "nodes/missing")
    assert tree(home) == before


def test_nothing_of_a_recording_is_left_in_the_kernel(
    kubelag: Program, fake: Callable[..., Path], fifo: Path
) -> None:
    if why := tracefs.probe():
        pytest.skip(why)
    process = kubelag.start("explain", fake(f"echo up > {fifo}; sleep 1000"), *GET_NODES)
    fifo.read_text()
    ended_by(process, signal.SIGINT)
    assert [mount for mount in _mounts() if str(process.pid) in mount] == []


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()
