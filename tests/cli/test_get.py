"""`kubelag get` as a whole program: its cache, its children, its manners when interrupted."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_server import (
    NODE,
    Authority,
    Exchange,
    HostileServer,
    kubeconfig,
    serving,
    tree,
    well_behaved,
)
from program import Done, Program, ended_by

TABLE = "NAME\nnode1\n"
DISCOVERY = ["/api", "/apis", "/api/v1"]


@pytest.fixture
def server() -> Iterator[HostileServer]:
    special = {"/api/v1/nodes/node1": lambda one: one.answer_json(NODE)}
    with serving(well_behaved(special)) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def kubelag(home: Path, server: HostileServer, tmp_path: Path) -> Program:
    path = kubeconfig(tmp_path, server.url)
    return Program(env={"HOME": str(home), "PATH": os.defpath, "KUBECONFIG": str(path)})


def asked(server: HostileServer) -> list[str]:
    """Paths since last looked at."""
    found = server.paths
    server.heads.clear()
    return found


def test_a_cold_run_answers_first_and_caches_behind_and_a_warm_one_asks_for_the_list_only(
    kubelag: Program, server: HostileServer, home: Path
) -> None:
    assert kubelag("get", "nodes") == Done(0, TABLE, "")
    assert kubelag.left() == []
    cold = asked(server)
    assert sorted(cold[:3]) == sorted(DISCOVERY)
    assert sorted(cold[3:]) == ["/api/v1/nodes", "/apis/apps/v1"]
    assert any("apps/v1/serverresources.json" in one for one in tree(home))
    assert kubelag("get", "nodes") == Done(0, TABLE, "")
    assert asked(server) == ["/api/v1/nodes"]
    assert kubelag.left() == []


def test_a_memory_cache_leaves_no_file_and_no_child(
    kubelag: Program, server: HostileServer, home: Path
) -> None:
    process = kubelag.start("get", "nodes", "--cache-policy=memory")
    out, _ = process.communicate(timeout=60)
    assert out == TABLE
    assert kubelag.running() == []
    assert tree(home) == []
    assert "/apis/apps/v1" not in asked(server)


def test_the_cache_is_where_it_is_said_to_be(kubelag: Program, home: Path, tmp_path: Path) -> None:
    kubelag("get", "deploy", "--cache-dir", tmp_path / "a")
    kubelag.having(KUBECACHEDIR=tmp_path / "b")("get", "deploy")
    assert kubelag.left() == []
    assert tree(home) == []
    assert tree(tmp_path / "a") == tree(tmp_path / "b") != []


def test_an_unknown_name_is_asked_for_once_and_then_known_as_such(
    kubelag: Program, server: HostileServer
) -> None:
    kubelag("get", "nodes")
    assert kubelag.left() == []
    asked(server)
    for expected in (4, 0):
        done = kubelag("get", "nonsense")
        assert (done.code, done.out) == (1, "")
        assert f"{server.url} has no resource 'nonsense'; `kubelag api-resources`" in done.err
        assert len(asked(server)) == expected
        assert kubelag.left() == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("get",), "not said what to get"),
        (("get", "nodes,"), "empty type"),
        (("get", "nodes", "-o", "nonsense"), "no output format 'nonsense'"),
        (("get", "nodes", "-o", "jsonpath"), "no output format 'jsonpath'"),
        (("get", "nodes", "-o", "json", "--show-labels"), "json has no columns"),
        (("get", "nodes", "--chunk-size=-1"), "below zero"),
        (("get", "nodes", "--request-timeout=soon"), "is no time"),
        (("get", "pod/a", "-A"), "across all namespaces"),
        (("get", "pod", "a", "-l", "b"), "names and a selector"),
        (("get", "pod", ".."), "'..' is no name"),
        (("get", "--raw", "api"), "begin it with a /"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_exit_code_2(
    words: tuple[str, ...], why: str, kubelag: Program
) -> None:
    done = kubelag(*words)
    (line,) = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert why in line


def test_a_template_that_cannot_be_read_costs_no_request(
    kubelag: Program, server: HostileServer
) -> None:
    done = kubelag("get", "nodes", "-o", "jsonpath={.a")
    assert done.code == 1
    assert "the JSONPath template" in done.err
    assert "/api/v1/nodes" not in asked(server)


def test_an_option_may_stand_before_the_command(kubelag: Program, server: HostileServer) -> None:
    assert kubelag("--context", "x", "get", "nodes").out == TABLE
    assert kubelag("-s", server.url, "get", "nodes").out == TABLE


def test_a_raw_answer_is_printed_as_it_is(kubelag: Program) -> None:
    assert kubelag("get", "--raw", "/version") == Done(0, '{"gitVersion": "v1.30.0"}', "")


def test_timings_are_told_beside_the_output(kubelag: Program) -> None:
    done = kubelag("get", "nodes", "--timings", "-v=9")
    assert (done.code, done.out) == (0, TABLE)
    assert "kubelag: GET /api/v1/nodes?limit=500 200 in " in done.err
    assert "kubelag:   connect" in done.err
    assert "REQUEST" in done.err
    assert "outside requests" in done.err


def test_a_reader_that_goes_away_ends_it_without_a_word(kubelag: Program) -> None:
    process = kubelag.start("get", "nodes", "-o", "json")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert kubelag.left() == []


def say_nothing(exchange: Exchange) -> None:
    """The request is taken, and that is all."""
    assert exchange.path


@pytest.mark.parametrize("kind", ["connected", "tls", "asked"])
def test_an_interrupt_while_a_server_is_silent_ends_it_at_once(
    kind: str, kubelag: Program, tmp_path: Path
) -> None:
    authority = Authority()
    options: dict[str, object] = {"tls": authority.server()} if kind == "tls" else {}
    deaf = HostileServer(
        say_nothing if kind != "connected" else None,
        is_deaf=kind == "connected",
        **options,  # type: ignore[arg-type]
    )
    url = deaf.url if kind != "connected" else f"https://127.0.0.1:{deaf.port}"
    program = kubelag.having(KUBECONFIG=kubeconfig(tmp_path, url, authority.pem))
    process = program.start("get", "nodes")
    assert (deaf.connected if kind == "connected" else deaf.asked).wait(60)
    began_s = time.monotonic()
    done = ended_by(process, signal.SIGINT)
    assert time.monotonic() - began_s < 5
    assert (done.code, done.out) == (130, "")
    assert done.told == ["kubelag: interrupted"]
    assert program.left() == []
    deaf.close()


def test_an_interrupt_while_a_plugin_hangs_ends_both(kubelag: Program, tmp_path: Path) -> None:
    authority = Authority()
    started = tmp_path / "started"
    os.mkfifo(started)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "/bin/sh",
            "args": ["-c", f"echo > {started}; exec sleep 1000"],
            "interactiveMode": "Never",
        }
    }
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", authority.pem, user)
    program = kubelag.having(KUBECONFIG=path)
    process = program.start("get", "nodes")
    started.read_text()
    done = ended_by(process, signal.SIGINT)
    assert done.code == 130
    assert program.left() == []


def test_no_zombie_stays_while_the_parent_lives(kubelag: Program) -> None:
    """The child's parent is gone before it ends, so that whoever adopts orphans reaps it."""
    script = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
    argv = [*kubelag.argv[:1], "-c", script, *kubelag.argv, "get", "nodes"]
    subprocess.run(argv, env=dict(kubelag.env), check=True, capture_output=True, timeout=60)
    mine = str(os.getpid())
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        assert not (state == "Z" and parent == mine)


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A cache that this user may read and not write; for root a file system must refuse."""
    place = Path(tempfile.mkdtemp(prefix="kubelag-get-"))
    (place / "cache").mkdir()
    is_root = os.geteuid() == 0
    if is_root:
        mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "kubelag-test", str(place)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
    else:
        (place / "cache").chmod(0o555)
    yield place / "cache"
    if is_root:
        subprocess.run(["umount", str(place)], check=True)
    subprocess.run(["rm", "-rf", place], check=True)


def test_a_cache_that_cannot_be_written_is_told_once_and_costs_nothing(
    kubelag: Program, unwritable: Path
) -> None:
    for _ in range(2):
        done = kubelag("get", "nodes", f"--cache-dir={unwritable}")
        assert (done.code, done.out) == (0, TABLE)
        (line,) = done.err.splitlines()
        assert line.startswith("kubelag: working from memory")
        assert str(unwritable.parent) in line
    assert tree(unwritable.parent) == []
    assert kubelag.left() == []


def test_a_home_that_is_no_directory_costs_nothing(kubelag: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = kubelag.having(HOME=tmp_path / "file")("get", "nodes")
    assert (done.code, done.out) == (0, TABLE)
    assert len(done.err.splitlines()) <= 1
    assert "Traceback" not in done.err


@pytest.mark.real
def test_a_full_disk_costs_nothing(kubelag: Program, server: HostileServer) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = Path(tempfile.mkdtemp(prefix="kubelag-full-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "kubelag-test", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        place.rmdir()
        pytest.skip("nothing can be mounted here")
    try:
        (place / "ballast").write_bytes(b"x" * 4096)
        for _ in range(2):
            done = kubelag("get", "nodes", f"--cache-dir={place}/cache")
            assert (done.code, done.out) == (0, TABLE)
            assert "Traceback" not in done.err
            assert kubelag.left() == []
        assert not re.search(r"\.tmp|~", " ".join(tree(place)))
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
    assert asked(server)


def cluster(fields: str, context: str = "{cluster: c}") -> str:
    """A kubeconfig with one cluster of these fields."""
    lines = ("clusters:", f"- {{name: c, cluster: {fields}}}", "contexts:")
    return "\n".join((*lines, f"- {{name: x, context: {context}}}", "current-context: x", ""))


KUBECONFIGS = {
    "missing": (None, ("nowhere",)),
    "empty": ("", ()),
    "not-yaml": ("clusters: [", ("line 2",)),
    "a-list": ("- a\n- b\n", ()),
    "binary": ("\x00\x01", ()),
    "no-context": ("apiVersion: v1\nkind: Config\ncurrent-context: gone\n", ("gone",)),
    "no-cluster": (
        "contexts:\n- {name: x, context: {cluster: gone, user: u}}\ncurrent-context: x\n",
        ("gone",),
    ),
    "no-user": (cluster("{server: 'http://127.0.0.1:1'}", "{cluster: c, user: gone}"), ("gone",)),
    "no-server": (cluster("{}"), ("server",)),
    "bad-server": (cluster("{server: 'ftp://a b'}"), ("ftp://a b", "https://HOST:PORT")),
    "wrong-type": (cluster("{server: 7}"), ("server",)),
}


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_kubeconfig_that_is_wrong_is_one_sentence(
    name: str, kubelag: Program, home: Path, tmp_path: Path
) -> None:
    text, parts = KUBECONFIGS[name]
    path = tmp_path / "nowhere" if text is None else tmp_path / "config"
    if text is not None:
        path.write_text(text)
    done = kubelag("get", "nodes", "--kubeconfig", path)
    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("kubelag: ")
    assert "; " in line
    assert all(part in line for part in parts), line
    assert tree(home) == []


@pytest.mark.parametrize(
    ("option", "part"),
    [("--context=gone", "gone"), ("--cluster=gone", "gone"), ("--user=gone", "gone")],
)
def test_an_option_that_names_nothing_is_one_sentence(
    option: str, part: str, kubelag: Program
) -> None:
    done = kubelag("get", "nodes", option)
    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert part in line


def test_a_dead_proxy_is_one_sentence(kubelag: Program, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://api.example.com", **{"proxy-url": "http://127.0.0.1:1"})  # type: ignore[arg-type]
    done = kubelag("get", "nodes", "--kubeconfig", path)
    assert (done.code, done.out) == (1, "")
    assert "no connection to 127.0.0.1:1" in done.err
    other = kubelag.having(HTTPS_PROXY="https://127.0.0.1:1")
    done = other("get", "nodes", "-s", "https://api.example.com")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
