"""The reader of plain YAML: whatever it reads, PyYAML reads to an equal document."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubelag.kube.config.kubeconfig_yaml import KubeconfigLoader
from kubelag.kube.config.plain_yaml import CANNOT_SAY, parse_plain

# `kubectl config set-cluster`, `set-credentials` and `set-context`, kubectl 1.33 (and 1.27, which
# writes the same).
BY_KUBECTL = """\
apiVersion: v1
clusters:
- cluster:
    insecure-skip-tls-verify: true
    server: https://a.eks
  name: arn:aws:eks:eu-north-1:1234:cluster/x
- cluster:
    server: https://127.0.0.1:6443
    tls-server-name: 10.0.0.1
  name: kind-a
- cluster:
    proxy-url: http://p:3128
    server: http://h
  name: p
contexts:
- context:
    cluster: kind-a
    namespace: default
    user: u
  name: a
- context:
    cluster: arn:aws:eks:eu-north-1:1234:cluster/x
    user: e
  name: x@y
current-context: a
kind: Config
preferences: {}
users:
- name: "12345"
  user:
    password: "0123"
    username: "yes"
- name: e
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - --region
      - eu-north-1
      - eks
      - get-token
      - "12"
      command: aws
      env:
      - name: AWS_PROFILE
        value: dev
      - name: "N"
        value: "1"
      interactiveMode: IfAvailable
      provideClusterInfo: false
- name: f
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args: null
      command: gke-gcloud-auth-plugin
      env: null
      provideClusterInfo: true
- name: u
  user:
    token: eyJhbGciOi.x-y_z
"""
# kubelogin's arguments as az writes them, k3s's indented lists, minikube's extensions.
BY_OTHERS = """\
---
# written by hand
apiVersion: v1
kind: Config
clusters:
  - name: k3s
    cluster:
      certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==
      server: 'https://127.0.0.1:6443'   # here
      extensions:
      - extension:
          last-update: Tue, 02 Jan 2024 10:00:00 UTC
          provider: minikube.sigs.k8s.io
          version: v1.32.0
        name: cluster_info
  -
    name: bare
    cluster:
users:
  - name: clusterUser_group_aks
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1beta1
        command: kubelogin
        args:
        - get-token
        - --server-id
        - 6dae42f8-4368-4678-94ff-3960e28e3630
        env: []
        installHint: see https://aka.ms/aks/kubelogin for more (#1)

contexts:
  - context: {}
    name: ~
preferences: {}
current-context: ""
"""


def by_pyyaml(content: bytes) -> object:
    return yaml.load(content, Loader=KubeconfigLoader)  # noqa: S506 -- a safe loader


@pytest.mark.parametrize("text", [BY_KUBECTL, BY_OTHERS, "", "---\n", "# nothing\n"])
def test_what_tools_write_is_read(text: str) -> None:
    found = parse_plain(text.encode())
    assert found is not CANNOT_SAY
    assert found == by_pyyaml(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "a: [1]",
        "a: {b: c}",
        "a: &x b",
        "a: *x",
        "a: !!str b",
        "a: |\n  b",
        "a: >\n  b",
        "a: b\n  c",
        "a:\n  b",
        "a:\tb",
        "a: b\r\n",
        "a: b\na: c",
        "a: 1",
        "a: 0x1f",
        "a: 1.5",
        "a: 1_0",
        "a: 12:30",
        "a: 1.5e+3",
        "a: -.inf",
        "a: yes",
        "a: Off",
        "a: =",
        "<<: a",
        "a: <<",
        "a: ä",
        "a: b: c",
        "a: b:",
        'a: "b\\n"',
        "a: 'b''c'",
        'a: "b',
        "a: 'b' c",
        "a: - b",
        "a: -",
        "- - a",
        "yes: a",
        "1: a",
        "a b: c",
        "a: b\n...\n",
        "a: b\n---\nc: d",
        " a: b\nc: d",
        "a:\n    b: c\n  d: e",
        "a: @b",
        "a: `b",
        "a: %b",
        "? a",
        "just words",
        "a: b\0",
        "\ufeffa: b",
        "a:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1, 100)),
    ],
)
def test_of_anything_else_it_cannot_say(text: str) -> None:
    assert parse_plain(text.encode()) is CANNOT_SAY


def _agrees(content: bytes) -> bool:
    """Whether the reader could say; what it says must be what PyYAML says."""
    found = parse_plain(content)
    if found is CANNOT_SAY:
        return False
    assert found == by_pyyaml(content)
    return True


_ATOMS = st.sampled_from(
    [
        *("a", "b1", "name", "-", "- ", ":", ": ", " #", "#", "  ", "\n", "\n  ", "\n- ", "\n    "),
        *("'", '"', "{}", "[]", "{", "]", ",", "~", "null", "true", "Yes", "on", "0", "12", "1.5"),
        *(".", "-1", "e5", "0x1", "_", "+", "=", "<<", "&a", "*a", "!", "|", ">", "?", "%", "@"),
        *("---", "...", "\t", "\\", "http://h:1/p", "2020-01-01", "a: b", "\n---\n", ".inf", "1:2"),
    ]
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(_ATOMS, max_size=14).map("".join))
@example("a:\n- b\n-\n- c: d\n  e: f\ng: h")
@example("a: b#c #d")
@example("- a\n- ")
@example("a: 'x: y # z'  # c")
@example("a: 1-2")
@example("a: 1.2.3")
@example("a: +")
@example("a: 0o7")
@example("a: 0b1_")
@example("a: .5")
@example("a: 08")
def test_whatever_it_reads_pyyaml_reads_to_the_same(text: str) -> None:
    _agrees(text.encode())


@settings(max_examples=500, deadline=None)
@given(st.text("0123456789abcdefxXoEe_.:+-~nNulfyYsi", min_size=1, max_size=8))
def test_words_and_numbers_are_taken_as_pyyaml_takes_them(word: str) -> None:
    _agrees(f"a: {word}".encode())
    _agrees(f"- {word}".encode())


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from([BY_KUBECTL, BY_OTHERS]),
    st.integers(0, 2000),
    st.integers(0, 6),
    st.lists(_ATOMS, max_size=3).map("".join),
)
def test_a_kubeconfig_with_a_slip_in_it_is_read_alike_or_not_at_all(
    text: str, at: int, gone: int, slipped: str
) -> None:
    _agrees((text[:at] + slipped + text[at + gone :]).encode())


_NAMES = st.text("abcxyz-_./", min_size=1, max_size=6).map("k".__add__)
_LEAVES = st.none() | st.booleans() | st.text("abc019 :#-.'\"/@=yes", max_size=12)
_DOCUMENTS = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_NAMES, _DOCUMENTS, max_size=4), st.booleans())
def test_what_pyyaml_writes_is_read_back(document: dict[str, object], is_indented: bool) -> None:
    indent = 4 if is_indented else 2
    _agrees(yaml.safe_dump(document, width=10_000, indent=indent).encode())


def test_a_real_kubeconfig_is_never_left_to_pyyaml() -> None:
    assert _agrees(BY_KUBECTL.encode())
    lab = {"clusters": [{"name": "lab", "cluster": {"server": "https://127.0.0.1:1"}}]}
    assert _agrees(yaml.safe_dump(lab, sort_keys=False).encode())


@pytest.mark.real
def test_what_real_kubectl_writes_is_read(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on this machine to write a kubeconfig")
    path = tmp_path / "config"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"}))
    exec_flags = ["--exec-command=x", "--exec-api-version=client.authentication.k8s.io/v1"]
    for words in (
        ["set-cluster", "c", "--server=https://h:6443", "--tls-server-name=n"],
        ["set-credentials", "u", "--token=0123"],
        ["set-credentials", "e", *exec_flags, "--exec-arg=--a", "--exec-env=A=1"],
        ["set-context", "x", "--cluster=c", "--user=u", "--namespace=12"],
        ["use-context", "x"],
    ):
        env = {"HOME": str(tmp_path), "KUBECONFIG": str(path), "PATH": os.environ["PATH"]}
        subprocess.run([kubectl, "config", *words], env=env, check=True, capture_output=True)
    assert _agrees(path.read_bytes())
