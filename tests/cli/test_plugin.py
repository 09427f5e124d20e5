"""`kubectl lag`: our own options first, then the command as kubectl would get it."""

import pytest

from kubelag.cli.main import split_plugin_words


@pytest.mark.parametrize(
    ("words", "ours", "theirs"),
    [
        (["get", "nodes"], [], ["get", "nodes"]),
        (["--cold", "get", "nodes", "-q"], ["--cold"], ["get", "nodes", "-q"]),
        (
            ["--budget", "5", "--format=json", "-n", "x", "get", "pods"],
            ["--budget", "5", "--format=json"],
            ["-n", "x", "get", "pods"],
        ),
        (["--from", "bundle"], ["--from", "bundle"], []),
        (["-h"], ["-h"], []),
    ],
)
def test_only_leading_options_of_explain_are_ours(
    words: list[str], ours: list[str], theirs: list[str]
) -> None:
    assert split_plugin_words(words) == (ours, theirs)
