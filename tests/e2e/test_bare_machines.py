"""Machines and users that lack something: it says what, and goes on without."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Program, ended_by, fake_kubectl, script

pytestmark = pytest.mark.real
GET_NODES = ("get", "nodes")


NOBODY = 65534


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
    "told",
    [None, FORBIDDEN],
    ids=["no strace", "ptrace forbidden"],
)
def test_without_a_tracer_it_says_so_and_finds_the_syncs_in_samples(
    kubelag: Program,
    old_kubectl: Path,
    slow_home: Path,
    bare_path: Path,
    told: str | None,
) -> None:
    if told:
        script(bare_path / "strace", f"echo '{told}' >&2", "exit 1")
    words = ("explain", "--cold", "--no-proof", "--format", "json", old_kubectl, *GET_NODES)
    blind = _without_tracefs(kubelag.having(PATH=bare_path, HOME=slow_home))
    done = blind(*words)
    assert done.code == 0, done.err
    missing = {look["observer"]: look["why"] for look in done.report["could_not_look"]}
    why = f"strace may not trace here ({told})" if told else "strace is not installed"
    assert why in missing["syscalls"]
    first = done.report["verdicts"][0]
    assert (first["cause"], first["verdict"]) == ("discovery_cache_fsync", "likely")
    assert first["evidence"][0]["observer"] == "calls_in_flight"
    assert done.report["observer"]["kind"] == "system calls in flight, sampled"


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
    words = ("explain", "--cold", "--budget", "0.1", "--format", "json", old_kubectl, *GET_NODES)
    done = bare(*words)
    assert done.code == 0, done.err
    line = done.report["verdicts"][0]
    assert (line["cause"], line["verdict"]) == ("discovery_cache_fsync", "likely")
    assert "cache_on_memory: there is no tmpfs that this user may write to" in line["sentence"]


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
def nobody(kubeconfig: Path, old_kubectl: Path) -> Iterator[Program]:
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
        "PYTHONPATH": _packages(),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    program = Program(env=env, argv=(*user, python, "-m", "kubelag"))
    try:
        yield program
        assert program.left() == []
    finally:
        shutil.rmtree(place)


def _packages() -> str:
    """Where our packages are, without the standard library of this Python."""
    return ":".join(path for path in sys.path if path and not path.startswith(sys.base_prefix))


def _python_for_everybody() -> str:
    """A Python of the same version that any user may run: ours may be in somebody's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        tried = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", "--clear-groups", python, "-c", "import msgspec"],
            env={"PYTHONPATH": _packages()},
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


def test_an_ordinary_user_can_interrupt_what_strace_watches(nobody: Program) -> None:
    home = Path(nobody.env["HOME"])
    fake_kubectl(home / "kubectl", f"echo up > {home}/fifo", "sleep 1000")
    os.mkfifo(home / "fifo")
    os.chown(home / "fifo", NOBODY, NOBODY)
    process = nobody.start("explain", home / "kubectl", *GET_NODES)
    (home / "fifo").read_text()
    done = ended_by(process, signal.SIGINT)
    assert done.code == 130
    assert "the figures tell only what was seen until then" in done.out
