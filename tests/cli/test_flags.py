"""The quick parser of plain command lines says what argparse says, or leaves it to argparse."""

import argparse
import contextlib
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.cli import api_resources, cache, get, version
from kubelag.cli.flags import Option, Options, add_to, parse_plain
from kubelag.cli.kube_options import duration_s, overrides_of
from kubelag.errors import UsageError

TABLES = {
    "get": get.OPTIONS,
    "api-resources": api_resources.OPTIONS,
    "version": version.OPTIONS,
    "cache": cache.OPTIONS,
}


def by_argparse(options: tuple[Option, ...], argv: list[str]) -> dict[str, Any] | None:
    """What argparse makes of it, as the command line uses it; None where it refuses."""
    parser = argparse.ArgumentParser(prog="x")
    parser.add_argument("words", nargs="*")
    add_to(parser, options)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            args, rest = parser.parse_known_args(argv)
    except SystemExit:
        return None
    if any(word.startswith("-") for word in rest):
        return None
    return {**vars(args), "words": args.words + rest}


def plainly(options: tuple[Option, ...], argv: list[str]) -> dict[str, Any] | None:
    found = parse_plain(options, argv)
    return vars(found) if found is not None else None


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["pods"], {"words": ["pods"]}),
        (["pods", "-n", "shop", "web"], {"words": ["pods", "web"], "namespace": "shop"}),
        (["-nshop"], {"namespace": "shop"}),
        (["-n=shop"], {"namespace": "shop"}),
        (["--namespace=shop"], {"namespace": "shop"}),
        (["--namespace="], {"namespace": ""}),
        (["-A"], {"all_namespaces": True}),
        (["-A=true"], {"all_namespaces": True}),
        (["--all-namespaces=false"], {"all_namespaces": False}),
        (["--no-headers=true", "pods"], {"no_headers": True, "words": ["pods"]}),
        (["-owide"], {"output": "wide"}),
        (["-o", "jsonpath={.a}={.b}"], {"output": "jsonpath={.a}={.b}"}),
        (["--output=jsonpath={.a}={.b}"], {"output": "jsonpath={.a}={.b}"}),
        (["-L", "a", "-L=b", "-Lc"], {"label_columns": ["a", "b", "c"]}),
        (["--chunk-size", "7"], {"chunk_size": 7}),
        (["-v9"], {"verbosity": 9}),
        (["--v=6"], {"verbosity": 6}),
        (
            ["--insecure-skip-tls-verify", "pods"],
            {"words": ["pods"], "insecure_skip_tls_verify": "true"},
        ),
        (["--insecure-skip-tls-verify=false"], {"insecure_skip_tls_verify": "false"}),
        (["--as-group", "a,b", "--as-group=c"], {"as_groups": ["a,b", "c"]}),
        (["--as", "jane"], {"as_user": "jane"}),
        (["-l", "a!=b"], {"selector": "a!=b"}),
    ],
)
def test_a_plain_line_is_read_by_both(argv: list[str], expected: dict[str, Any]) -> None:
    empty = plainly(get.OPTIONS, [])
    assert empty is not None
    assert plainly(get.OPTIONS, argv) == {**empty, **expected}
    assert by_argparse(get.OPTIONS, argv) == {**empty, **expected}


@pytest.mark.parametrize(
    "argv",
    [
        *(["--help"], ["-h"], ["--nonsense"], ["-x"], ["-"], ["--"], ["--name", "shop"]),
        *(["-n"], ["--namespace"], ["-n", "-A"], ["--chunk-size", "many"], ["--chunk-size=-1"]),
        *(["-Ao", "wide"], ["-A=yes"], ["--timings=1"], ["--insecure-skip-tls-verify=maybe"]),
        *(["--cache-policy", "none"], ["-ojsonpath={.a}={.b}"], ["-v", "\u0661"]),
    ],
)
def test_anything_else_is_left_to_argparse(argv: list[str]) -> None:
    assert plainly(get.OPTIONS, argv) is None


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-Ao", "wide"], {"all_namespaces": True, "output": "wide"}),
        (["-ojsonpath={.a}={.b}"], {"output": "jsonpath={.a}={.b}"}),
        (["--names", "shop", "pods"], {"namespace": "shop", "words": ["pods"]}),
        (["--insecure-skip-tls-verify", "pods", "-Ao", "wide"], {"words": ["pods"]}),
    ],
)
def test_argparse_knows_the_rest(argv: list[str], expected: dict[str, Any]) -> None:
    found = by_argparse(get.OPTIONS, argv)
    assert found is not None
    assert {name: found[name] for name in expected} == expected


WORDS = st.sampled_from(
    [
        *("pods", "a/b", "", "wide", "name", "json", "true", "false", "5", "-5", "x y", "kind"),
        *("-", "-A", "-n", "-o", "-v", "-L", "-l", "-s", "-h", "-Ao", "-v6", "-owide", "-nx"),
    ]
)


@st.composite
def lines(draw: st.DrawFn, options: tuple[Option, ...]) -> list[str]:
    """Command lines of these options, sensible and not."""
    line: list[str] = []
    names = st.sampled_from([name for option in options for name in option.names])
    for _ in range(draw(st.integers(0, 5))):
        name, value = draw(names), draw(WORDS)
        line += draw(
            st.sampled_from(
                [[name], [name, value], [f"{name}={value}"], [f"{name}{value}"], [value]]
            )
        )
    return line


@pytest.mark.parametrize("command", TABLES)
@given(data=st.data())
def test_whatever_the_quick_one_takes_argparse_takes_alike(
    command: str, data: st.DataObject
) -> None:
    argv = data.draw(lines(TABLES[command]))
    found = plainly(TABLES[command], argv)
    if found is not None:
        assert by_argparse(TABLES[command], argv) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("0", 0.0), ("10", 10.0), ("1.5", 1.5), ("10s", 10.0), ("1m30s", 90.0)),
        *(("500ms", 0.5), ("1h", 3600.0), ("1.5h", 5400.0), ("0s", 0.0)),
    ],
)
def test_a_time_is_read_as_kubectl_reads_it(text: str, expected: float) -> None:
    assert duration_s(text, "--request-timeout") == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "s", "10x", "-1", "-1s", "1 s", "nan", "inf", "1e400", "1m-3s"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--request-timeout .* is no time; write 10s"):
        duration_s(text, "--request-timeout")


def test_secrets_do_not_show_among_the_overrides() -> None:
    found = parse_plain(get.OPTIONS, ["--token=s3cret", "--password", "s3cret", "--as-group=a"])
    assert isinstance(found, Options)
    overrides = overrides_of(found)
    assert "s3cret" not in repr(overrides)
    assert overrides.token.reveal() == "s3cret"
    assert overrides.as_groups == ("a",)
