"""What kubectl would take from its kubeconfig files."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import KubeconfigError
from kubelag.kube.kubeconfig import (
    DEFAULT_SERVER,
    Kubeconfig,
    load_kubeconfig,
    merge,
    static_token_kubeconfig,
)
from kubelag.kube.kubeconfig_file import ConfigFile, read_config_file
from kubelag.kube.secret import Secret

PLANTED = "PLANTED5ecretValue"

FIRST = f"""
clusters: [{{name: c, cluster: {{server: "https://a:6443"}}}}]
users: [{{name: u, user: {{token: {PLANTED}}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
"""
SECOND = """
apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "https://b", proxy-url: "http://p"}
- name: d
  cluster: {server: "https://d/prefix", certificate-authority: ca.crt, tls-server-name: api,
            proxy-url: "socks5://p:1"}
users:
- name: u
  user: {username: B, password: no}
- name: e
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./plugin
      interactiveMode: Never
      args: [token, --client-secret=PLANTED5ecretValue]
      env: [{name: REGION, value: north}]
      provideClusterInfo: true
contexts:
- name: x
  context: {cluster: d, user: u}
- name: live
  context: {cluster: d, user: e, namespace: shop}
current-context: live
""".replace("password: no", 'password: "no"')


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "first").write_text(FIRST)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/second").write_text(SECOND)
    return tmp_path


def load(home: Path, line: str = "kubectl get nodes", **env: str) -> Kubeconfig:
    return load_kubeconfig(line.split(), {"HOME": str(home), **env}, working_directory=str(home))


def test_the_first_file_that_has_an_entry_wins_as_a_whole(home: Path) -> None:
    config = load(home, "kubectl --context x get nodes", KUBECONFIG="first::missing:sub/second")
    assert config.cluster.server == "https://a:6443"
    assert config.cluster.proxy_url == ""
    assert config.user.auth == "token"
    assert config.files == (f"{home}/first", f"{home}/sub/second")
    assert config.missing == (f"{home}/missing",)


def test_relative_names_are_taken_from_their_own_file(home: Path) -> None:
    config = load(home, KUBECONFIG="first:sub/second")
    assert config.context == "live"
    assert config.namespace == "shop"
    assert config.cluster.ca_file == f"{home}/sub/ca.crt"
    assert config.cluster.has_ca
    assert config.cluster.tls_server_name == "api"
    assert config.exec_spec is not None
    assert config.exec_spec.command == f"{home}/sub/./plugin"
    assert config.exec_spec.env.reveal() == (("REGION", "north"),)
    assert config.exec_spec.provide_cluster_info


@pytest.mark.parametrize(
    ("flags", "auth", "server"),
    [
        ("--user e", "exec", "https://d/prefix"),
        ("--user e --token t", "token", "https://d/prefix"),
        ("--cluster c", "exec", "https://a:6443"),
        ("-s https://other", "exec", "https://other"),
        ("--context x", "token", "https://a:6443"),
    ],
)
def test_flags_override_what_the_files_say(home: Path, flags: str, auth: str, server: str) -> None:
    config = load(home, f"kubectl {flags} get nodes", KUBECONFIG="first:sub/second")
    assert (config.user.auth, config.cluster.server) == (auth, server)


def test_without_any_file_kubectl_talks_to_localhost(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.cluster.server == DEFAULT_SERVER
    assert config.user.auth == "none"
    assert config.files == ()


def test_without_any_file_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(PLANTED)
    config = load_kubeconfig(
        ["kubectl", "get", "nodes"],
        {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"},
        working_directory=str(tmp_path),
        service_account=str(tmp_path),
    )
    assert config.cluster.server == "https://[fd00::1]:443"
    assert config.user.auth == "token_file"


def test_the_default_file_is_in_the_home_directory(home: Path) -> None:
    (home / ".kube").mkdir()
    (home / ".kube/config").write_text(SECOND)
    assert load(home).files == (f"{home}/.kube/config",)


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        ("clusters: {a: b}", "", "clusters must be a list and is a mapping"),
        ("a: 1\nclusters: [\n", "", "not valid YAML at line"),
        ("clusters: [{name: 1, cluster: {}}]", "", "clusters[0].name must be a text"),
        ("users: [{name: a, user: {token: 12}}]", "", "users[0].user.token must be a text"),
        ("users: [{name: a, user: {exec: {args: x}}}]", "", "args must be a list of texts"),
        ("users: [{name: a, user: {exec: {args: []}}}]", "", "names no program"),
        ("- a", "", "the whole file must be a mapping and is a list"),
        ("kind: Pod", "", "holds a 'Pod' and not a Config"),
        ("clusters: [{name: a}, {name: a}]", "", "two clusters named 'a'"),
        ("current-context: z", "", "current-context names the context 'z'"),
        (FIRST, "--context z", "--context names the context 'z'"),
        (FIRST, "--context x --user z", "names the user 'z'"),
        ("contexts: [{name: x, context: {cluster: z}}]", "--context x", "the cluster 'z'"),
        ("a: &a [*a]\nclusters: *a\n", "", "kubeconfig"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence_with_the_next_step(
    tmp_path: Path, text: str, flags: str, told: str
) -> None:
    (tmp_path / "wrong").write_text(text)
    with pytest.raises(KubeconfigError) as caught:
        load(tmp_path, f"kubectl {flags} get nodes", KUBECONFIG="wrong")
    assert told in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert caught.value.next_step
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("line", ["kubectl --kubeconfig gone get nodes", "kubectl get nodes"])
def test_a_file_that_somebody_named_must_exist(tmp_path: Path, line: str) -> None:
    with pytest.raises(KubeconfigError, match="does not exist"):
        load(tmp_path, line, KUBECONFIG="gone:gone2")


def test_a_directory_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="cannot be read"):
        load(tmp_path, KUBECONFIG=".")


def test_no_secret_is_in_the_repr(home: Path) -> None:
    for flags in ("--context x", "--context live"):
        config = load(home, f"kubectl {flags} get nodes", KUBECONFIG="first:sub/second")
        assert PLANTED not in repr(config)


def test_the_static_kubeconfig_holds_the_current_context_alone(home: Path) -> None:
    config = load(home, KUBECONFIG="first:sub/second")
    document = json.loads(static_token_kubeconfig(config, Secret("t0ken")))
    assert document["users"] == [{"name": "e", "user": {"token": "t0ken"}}]
    assert [one["name"] for one in document["clusters"]] == ["d"]
    assert document["clusters"][0]["cluster"]["certificate-authority"] == f"{home}/sub/ca.crt"
    assert document["contexts"][0]["context"]["namespace"] == "shop"
    assert document["current-context"] == "live"


_ENTRIES = st.dictionaries(
    st.sampled_from("abcd"), st.dictionaries(st.sampled_from("kl"), st.text(max_size=2))
)
_FILES = st.builds(
    ConfigFile,
    clusters=_ENTRIES,
    users=_ENTRIES,
    contexts=_ENTRIES,
    current_context=st.sampled_from(["", "a", "b"]),
)


@given(st.lists(_FILES, max_size=5))
def test_merging_takes_every_entry_from_the_first_file_that_has_it(files: list[ConfigFile]) -> None:
    merged = merge(files)
    for name, entry in merged.clusters.items():
        assert entry == next(file.clusters[name] for file in files if name in file.clusters)
    assert set(merged.users) == {name for file in files for name in file.users}
    named = [file.current_context for file in files if file.current_context]
    assert merged.current_context == (named[0] if named else "")


@given(st.lists(_FILES, max_size=4), st.lists(_FILES, max_size=4))
def test_merging_is_idempotent_and_associative(
    left: list[ConfigFile], right: list[ConfigFile]
) -> None:
    merged = merge([*left, *right])
    assert merge([merged, *left, *right]) == merged
    assert merge([merge(left), merge(right)]) == merged


@given(st.binary(max_size=200) | st.text("{}[]:-\n &*!ab1'\"", max_size=60).map(str.encode))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(data)
    try:
        assert isinstance(read_config_file(str(path)), ConfigFile)
    except KubeconfigError as error:
        assert str(path) in error.message  # noqa: PT017 -- either outcome is right


def _kubectls() -> list[str]:
    versioned = sorted(Path("/usr/lib/google-cloud-sdk/bin").glob("kubectl.1.*"))
    found = [shutil.which("kubectl"), *map(str, versioned[:1] + versioned[-1:])]
    return [one for one in found if one]


@pytest.mark.real
@pytest.mark.parametrize("order", ["first:sub/second", "sub/second:first"])
def test_real_kubectl_merges_as_we_do(home: Path, order: str) -> None:
    clients = _kubectls()
    if not clients:
        pytest.skip("no kubectl on this machine to compare with")
    for client in clients:
        env = {"HOME": str(home), "KUBECONFIG": order, "PATH": os.environ["PATH"]}
        argv = [client, "config", "view", "--raw", "--minify", "--flatten=false", "-o", "json"]
        run = subprocess.run(argv, cwd=home, env=env, capture_output=True, check=True)
        theirs: dict[str, Any] = json.loads(run.stdout)
        ours = load(home, KUBECONFIG=order)
        assert theirs["current-context"] == ours.context
        assert theirs["clusters"][0]["cluster"]["server"] == ours.cluster.server
        assert theirs["users"][0]["name"] == ours.user.name


@pytest.mark.real
def test_real_kubectl_is_content_with_the_static_kubeconfig(home: Path) -> None:
    clients = _kubectls()
    if not clients:
        pytest.skip("no kubectl on this machine to compare with")
    (home / "sub/ca.crt").write_text("")
    content = static_token_kubeconfig(load(home, KUBECONFIG="first:sub/second"), Secret("t0ken"))
    fd = os.memfd_create("kubeconfig")
    try:
        os.write(fd, content)
        for client in clients:
            run = subprocess.run(
                [client, f"--kubeconfig=/proc/self/fd/{fd}", "config", "view", "-o", "json"],
                env={"HOME": str(home)},
                pass_fds=[fd],
                capture_output=True,
                check=True,
            )
            assert json.loads(run.stdout)["current-context"] == "live"
    finally:
        os.close(fd)
