"""What kubectl would take from its kubeconfig files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kubelag
from kubelag.errors import KubeconfigError
from kubelag.kube.auth.credentials import Credentials
from kubelag.kube.config.kubeconfig import (
    DEFAULT_SERVER,
    Kubeconfig,
    choose_kubeconfig,
    load_kubeconfig,
    merge,
)
from kubelag.kube.config.kubeconfig_file import ConfigFile, read_config_file
from kubelag.kube.config.overrides import Overrides
from kubelag.kube.config.static_kubeconfig import static_token_kubeconfig
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
        ("a: !!int x\n", "", "not valid YAML"),
        ("a: !!int ''\n", "", "not valid YAML"),
        ("a: !!bool x\n", "", "not valid YAML"),
        ("users:\n- name: a\n  user:\n    token: 12\n", "", "(line 4): users[0].user.token must"),
        ('{"users": [\n{"name": 1}]}', "", "(line 2): users[0].name must be a text"),
        ("clusters:\n- name: a\n  cluster: {insecure-skip-tls-verify: 1}\n", "", "true or false"),
        ("users: [{name: a, user: {as-groups: b}}]", "", "as-groups must be a list of texts"),
        ("users: [{name: a, user: {as-user-extra: [b]}}]", "", "as-user-extra must be a mapping"),
        ("users: [{name: a, user: {exec: {command: 1}}}]", "", "exec.command must be a text"),
        ("kind: [Config]", "", "and not a Config"),
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


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/dev/zero", "larger than 16 MiB"),
        ("/proc/self/mem", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("/etc/passwd/x", "cannot be read: not a directory"),
    ],
)
def test_what_is_no_regular_file_is_told(path: str, told: str) -> None:
    with pytest.raises(KubeconfigError, match=told):
        choose_kubeconfig(Overrides(kubeconfig=path), {}, working_directory="/tmp")


def test_a_working_directory_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert choose_kubeconfig(Overrides(), {"HOME": str(tmp_path)}).context == ""
    with pytest.raises(KubeconfigError, match="working directory is gone"):
        choose_kubeconfig(Overrides(kubeconfig="config"), {})


def test_trust_that_is_given_takes_the_place_of_the_configs(home: Path) -> None:
    given = Overrides(kubeconfig="sub/second", certificate_authority="mine.crt")
    cluster = choose_kubeconfig(given, {}, working_directory=str(home)).cluster
    assert (cluster.ca_file, cluster.tls_server_name) == (f"{home}/mine.crt", "api")
    given = given.but(certificate_authority="", insecure_skip_tls_verify=True, server="https://o")
    cluster = choose_kubeconfig(given, {}, working_directory=str(home)).cluster
    assert cluster.insecure_skip_tls_verify
    assert not cluster.has_ca
    assert cluster.tls_server_name == ""


def test_without_a_server_the_environments_is_taken(tmp_path: Path) -> None:
    assert load(tmp_path, KUBERNETES_MASTER="http://m:1").cluster.server == "http://m:1"


def test_a_json_kubeconfig_is_read_as_json(tmp_path: Path) -> None:
    cluster = {"name": "ü\ud83d\ude00", "cluster": {"server": "https:\\/\\/h"}}
    (tmp_path / "json").write_text(json.dumps({"clusters": [cluster]}).replace("\\\\", "\\"))
    config = load(tmp_path, "kubectl --cluster ü\U0001f600 get nodes", KUBECONFIG="json")
    assert config.cluster.server == "https://h"


def test_a_usual_kubeconfig_is_read_without_anything_slow(home: Path) -> None:
    source = Path(kubelag.__file__).parents[1]
    (home / "config").write_text(
        "clusters:\n- name: c\n  cluster:\n    server: https://h\ncurrent-context: ''\n"
    )
    code = f"""
import sys
sys.path.insert(0, {str(source)!r})
from kubelag.kube.auth.credentials import Credentials
from kubelag.kube.config.kubeconfig import choose_kubeconfig
from kubelag.kube.config.overrides import Overrides
given = Overrides(kubeconfig={str(home / "config")!r}, cluster="c")
chosen = choose_kubeconfig(given, {{}})
assert chosen.cluster.server == "https://h"
Credentials(chosen.user, chosen.cluster, env={{}}).headers()
print(*sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True
    )
    slow = {"yaml", "typing", "dataclasses", "enum", "re", "json", "pathlib", "subprocess"}
    assert not slow & set(run.stdout.split())


_KEYS = [
    *("name", "value", "server", "token", "tokenFile", "cluster", "user", "namespace", "exec"),
    *("command", "args", "env", "as", "as-groups", "as-user-extra", "auth-provider", "extension"),
    *("extensions", "insecure-skip-tls-verify", "certificate-authority", "client-key-data"),
]
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("n"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)
_SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}
_DOCUMENTS = st.fixed_dictionaries(
    {
        section: _ANY
        | st.fixed_dictionaries({"name": st.just("n"), inner: _ANY}).map(lambda one: [one])
        for section, inner in _SECTIONS.items()
    }
    | {"current-context": st.sampled_from(["n", "", None])}
)


@given(
    st.binary(max_size=200)
    | st.text("{}[]:-\n &*!ab1'\"", max_size=60).map(str.encode)
    | _DOCUMENTS.map(lambda document: json.dumps(document).encode())
)
def test_no_kubeconfig_makes_the_choice_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-kubeconfig"
    path.write_bytes(data)
    try:
        chosen = choose_kubeconfig(Overrides(kubeconfig=str(path)), {})
        Credentials(chosen.user, chosen.cluster, env={})
    except KubeconfigError as error:
        assert error.next_step  # noqa: PT017 -- either outcome is right


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
