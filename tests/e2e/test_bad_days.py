"""Bad input: one clear sentence with the next step, the right exit code, no trace."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from program import Program, script, tree

pytestmark = pytest.mark.real
GET_NODES = ("get", "nodes")


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


def test_the_users_files_are_as_before_where_the_command_failed(
    kubelag: Program, old_kubectl: Path, home: Path
) -> None:
    kubelag("explain", "-q", "--no-proof", old_kubectl, *GET_NODES)
    before = tree(home)
    kubelag("explain", "-q", old_kubectl, "get", "nodes/missing")
    assert tree(home) == before


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
        ' "users": [{"name": "u", "user": {"token": "t"}}], "current-context": "c",'
        ' "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}'
    )
    done = kubelag.having(KUBECONFIG=tmp_path / "config")("explain", old_kubectl, *GET_NODES)
    assert done.code == 1
    assert "127.0.0.1:1 was refused" in " ".join(done.out.split())


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
        (("--save", "HERE", "CLIENT", "get", "pods"), 1, 0),
        (("--format", "papyrus", "CLIENT", "get", "pods"), 2, 0),
        (("--budget", "0", "CLIENT", "get", "pods"), 2, 0),
        (("--budget", "soon", "CLIENT", "get", "pods"), 2, 0),
        (("--from", "bundle", "CLIENT", "get", "pods"), 2, 0),
        (("--no-such-option", "CLIENT", "get", "pods"), 2, 0),
        ((), 2, 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_runs_as_often_as_it_may(
    kubelag: Program,
    counting: tuple[Path, Callable[[], int]],
    words: tuple[str, ...],
    code: int,
    runs: int,
) -> None:
    client, count = counting
    known = {"CLIENT": str(client), "HERE": str(client.parent)}
    done = kubelag("explain", *(known.get(word, word) for word in words))
    assert (done.code, count()) == (code, runs), done.err
    assert "Traceback" not in done.err
    if not runs:
        assert done.out == ""
        assert done.told[-1].startswith("kubelag")
    else:
        assert "Watched once" in done.out


def test_an_output_that_cannot_be_written_is_told_before_anything_runs(
    kubelag: Program, fake: Callable[..., Path], tmp_path: Path
) -> None:
    client = fake(f"touch {tmp_path}/ran")
    for output in (tmp_path, tmp_path / "no" / "report", client / "report"):
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
