"""Taking kubectl command lines apart and putting flags in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.command import flag_value, parse_command, with_global_flags, without_flag


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("kubectl get nodes", "get"),
        ("kubectl -n kube-system get pods", "get"),
        ("kubectl -nkube-system get pods", "get"),
        ("kubectl --context a --v=6 describe node b", "describe"),
        ("kubectl --insecure-skip-tls-verify get nodes", "get"),
        # cobra takes the word after an unknown flag for its value.
        ("kubectl -o json get nodes", "get"),
        ("kubectl -A get pods", "pods"),
        ("kubectl", ""),
        ("kubectl -- get", ""),
    ],
)
def test_the_verb_is_found_behind_global_flags(line: str, verb: str) -> None:
    assert parse_command(line.split()).verb == verb


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("kubectl get nodes --cache-dir /c", "cache-dir", "/c"),
        ("kubectl get nodes --cache_dir=/c", "cache-dir", "/c"),
        ("kubectl -s https://a get nodes", "server", "https://a"),
        ("kubectl get nodes -v6", "v", "6"),
        ("kubectl get nodes -v=6 --v 7", "v", "7"),
        ("kubectl get pods -Av9", "v", "9"),
        ("kubectl get pods -- -v 9", "v", None),
        ("kubectl get nodes --kubeconfig", "kubeconfig", None),
    ],
)
def test_a_flag_is_found_in_every_spelling(line: str, name: str, value: str | None) -> None:
    assert flag_value(line.split(), name) == value


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kubectl get nodes", "kubectl --cache-dir=/c -v=6 get nodes"),
        ("kubectl get nodes -v 9", "kubectl --cache-dir=/c -v=6 get nodes"),
        ("kubectl -v9 get --cache_dir=/x nodes -Av3", "kubectl --cache-dir=/c -v=6 get nodes -A"),
        ("kubectl get nodes -- -v 9", "kubectl --cache-dir=/c -v=6 get nodes -- -v 9"),
    ],
)
def test_flags_are_put_in_once_behind_the_program(line: str, expected: str) -> None:
    flags = {"--cache-dir": "/c", "-v": "6"}
    assert with_global_flags(line.split(), flags) == tuple(expected.split())


def test_a_flag_can_be_taken_out() -> None:
    argv = ("kubectl", "--kubeconfig", "a", "get", "nodes", "--kubeconfig=b")
    assert without_flag(argv, "kubeconfig") == ("kubectl", "get", "nodes")


_WORDS = st.lists(
    st.sampled_from(
        [
            "get",
            "-A",
            "-v",
            "6",
            "-v9",
            "--v=3",
            "--cache-dir",
            "/x",
            "-Av2",
            "-o",
            "json",
            "--",
            "-n",
            "--token=t",
            "-",
            "",
            "-=",
            "--=",
            "-vv",
            "nodes",
        ]
    )
    | st.text(max_size=6),
    max_size=9,
)


@given(_WORDS)
def test_putting_flags_in_twice_changes_nothing_more(words: list[str]) -> None:
    flags = {"--cache-dir": "/c", "-v": "6"}
    once = with_global_flags(["kubectl", "get", *words], flags)
    assert with_global_flags(once, flags) == once
    assert flag_value(once, "v") == "6"
    assert flag_value(once, "cache-dir") == "/c"


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_words_can_be_taken_apart(words: list[str]) -> None:
    command = parse_command(words)
    assert command.argv == tuple(words)
    assert all(flag.start + flag.words <= len(words) for flag in command.flags)
