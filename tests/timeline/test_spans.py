"""Events to spans: who was in the way, from when to when."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import MS, ROOT, START, S, cache, call, evidence, process, request
from kubelag.model.attribution import Span
from kubelag.model.evidence import ClientNote, Evidence, Process, Syscall
from kubelag.timeline import factors
from kubelag.timeline.network_spans import carve
from kubelag.timeline.spans import (
    is_credential_plugin,
    is_discovery,
    is_in_cache,
    spans_of,
)

KUBECTL = "/usr/bin/kubectl"


def told(found: Evidence) -> list[tuple[str, int, int]]:
    """Factor, begin and end of every span, in milliseconds of the run."""
    return [
        (span.factor, (span.start_ns - START) // MS, (span.end_ns - START) // MS)
        for span in spans_of(found)
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api", True),
        ("/api/v1", True),
        ("/apis", True),
        ("/apis/apps", True),
        ("/apis/apps/v1?timeout=32s", True),
        ("/openapi/v2", True),
        ("/openapi/v3/apis/apps/v1", True),
        ("/clusters/c-1/api/v1", True),
        ("/k8s/apis/apps/v1", True),
        ("/api/v1/nodes?limit=500", False),
        ("/apis/apps/v1/deployments", False),
        ("/clusters/c-1/api/v1/nodes", False),
        ("/version", False),
        ("/", False),
        ("", False),
    ],
)
def test_a_request_is_for_discovery_or_for_an_object(path: str, *, expected: bool) -> None:
    assert is_discovery(f"https://127.0.0.1:6443{path}") is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (ROOT, True),
        (f"{ROOT}/http/aa", True),
        (f"{ROOT}-of-mine/x", False),
        ("/dev/shm/real/x", True),
        ("/mnt/target/x", True),
        ("/home/u", False),
        (None, False),
    ],
)
def test_a_path_is_in_the_cache_by_any_of_its_names(path: str | None, *, expected: bool) -> None:
    linked = cache(real_root="/dev/shm/real/", link_target="/mnt/target")
    assert is_in_cache(path, linked) is expected


def test_without_a_cache_nothing_is_in_it() -> None:
    assert not is_in_cache(ROOT, None)


@pytest.mark.parametrize(
    ("name", "path", "factor"),
    [
        ("fsync", f"{ROOT}/x", factors.CACHE_FSYNC),
        ("fdatasync", "/var/x", factors.OTHER_FSYNC),
        ("renameat", f"{ROOT}/x", factors.CACHE_FILES),
        ("openat", "/etc/hosts", factors.OTHER_FILES),
        ("sync", "", factors.OTHER_FSYNC),
    ],
)
def test_a_file_call_belongs_to_its_kind_and_place(name: str, path: str, factor: str) -> None:
    found = evidence(S, syscalls=(call(name, 5 * MS, 7 * MS, path),))
    assert told(found) == [(factor, 5, 12)]


@pytest.mark.parametrize("name", ["connect", "execve", "wait4", "recvfrom"])
def test_calls_that_are_no_file_calls_are_in_nobodys_way(name: str) -> None:
    assert told(evidence(S, syscalls=(call(name, 0, 7 * MS, "/x"),))) == []


def test_requests_are_told_apart() -> None:
    asked = (request("/apis/apps/v1", 0, 9 * MS), request("/api/v1/nodes", 9 * MS, 5 * MS))
    assert told(evidence(S, requests=asked)) == [
        (factors.DISCOVERY, 0, 9),
        (factors.TARGET, 9, 14),
    ]


def test_spans_are_cut_to_the_run_and_what_lies_outside_is_left_out() -> None:
    found = evidence(
        10 * MS,
        requests=(request("/api", -5 * MS, 8 * MS), request("/api", 8 * MS, 50 * MS)),
        syscalls=(call("fsync", 20 * MS, 5 * MS, ROOT), call("fsync", 5 * MS, 0, ROOT)),
    )
    assert told(found) == [(factors.DISCOVERY, 0, 3), (factors.DISCOVERY, 8, 10)]


# Processes


def kubectl(*children: Process, chain: tuple[str, ...] = (KUBECTL,)) -> Evidence:
    parent = replace(process(1, None, KUBECTL, 0, S), chain=chain)
    return evidence(S, processes=(parent, *children), credential_plugin="login")


def test_the_plugins_time_is_taken_out_of_the_request_that_the_log_counts_it_into() -> None:
    found = kubectl(process(2, 1, "/opt/login", 100 * MS, 300 * MS))
    found = replace(found, requests=(request("/api", 50 * MS, 400 * MS),))
    assert told(found) == [
        (factors.DISCOVERY, 50, 100),
        (factors.CREDENTIAL_PLUGIN, 100, 400),
        (factors.DISCOVERY, 400, 450),
    ]


def test_any_other_child_is_told_as_such_and_grandchildren_are_their_parents() -> None:
    found = kubectl(
        process(2, 1, "/usr/bin/less", 100 * MS, 300 * MS),
        process(3, 2, "/opt/login", 100 * MS, 300 * MS),
    )
    assert told(found) == [(factors.CHILD_PROCESS, 100, 400)]


def test_a_child_whose_end_was_not_seen_lasts_to_the_end() -> None:
    found = kubectl(replace(process(2, 1, "/opt/login", 100 * MS, 0), end_ns=None))
    assert told(found) == [(factors.CREDENTIAL_PLUGIN, 100, 1000)]


@pytest.mark.parametrize(
    ("chain", "plugin", "expected"),
    [
        (("/opt/login",), "login", True),
        (("/opt/login",), "/elsewhere/login", True),
        (("/bin/sh", "/usr/bin/python3"), "sh", True),
        (("/opt/login-helper",), "login", False),
        (("/opt/login",), None, False),
    ],
)
def test_the_plugin_is_known_by_its_programs_name(
    chain: tuple[str, ...], plugin: str | None, *, expected: bool
) -> None:
    child = replace(process(2, 1, chain[-1], 0, 1), chain=chain)
    assert is_credential_plugin(child, plugin) is expected


def executed(pid: int, path: str, at_ms: int, **more: str) -> Syscall:
    return replace(call("execve", at_ms * MS, MS, path, **more), pid=pid)


def test_all_before_the_real_client_is_the_wrappers() -> None:
    found = replace(
        kubectl(chain=("/usr/bin/env", KUBECTL)),
        syscalls=(executed(1, "/usr/bin/env", 0), executed(1, KUBECTL, 40)),
    )
    assert told(found) == [(factors.WRAPPER, 0, 41)]


def test_a_wrapper_that_forks_ends_where_its_child_becomes_the_client() -> None:
    found = evidence(
        S,
        processes=(process(1, None, "/bin/sh", 0, S), process(2, 1, KUBECTL, 30 * MS, 900 * MS)),
        syscalls=(
            executed(1, "/bin/sh", 0),
            executed(2, "/opt/kubectl", 35, error="ENOENT"),
            executed(2, KUBECTL, 40),
        ),
    )
    assert told(found) == [(factors.WRAPPER, 0, 41)]


def test_a_client_that_was_run_directly_had_no_wrapper() -> None:
    assert told(replace(kubectl(), syscalls=(executed(1, KUBECTL, 0),))) == []


# Names and waits


@pytest.mark.parametrize(
    ("kind", "factor"),
    [("throttled", factors.CLIENT_THROTTLE), ("retry_after", factors.RETRY_AFTER)],
)
def test_a_wait_that_the_client_tells_of_ends_when_it_tells(kind: str, factor: str) -> None:
    note = ClientNote(kind=kind, at_ns=START + 500 * MS, wait_ns=300 * MS)  # type: ignore[arg-type]
    assert told(evidence(S, notes=(note,))) == [(factor, 200, 500)]


def test_a_note_without_a_wait_is_in_nobodys_way() -> None:
    notes = (
        ClientNote(kind="throttled", at_ns=START + MS),
        ClientNote(kind="config_loaded", at_ns=START + MS, wait_ns=MS),
    )
    assert told(evidence(S, notes=notes)) == []


# Carving

_TIMES = st.integers(min_value=0, max_value=100)
_ENDS = st.tuples(_TIMES, _TIMES)


def _span(ends: tuple[int, int]) -> Span:
    return Span(factor="f", start_ns=min(ends), end_ns=max(ends), what="")


@given(_ENDS, st.lists(_ENDS))
def test_what_is_carved_is_the_span_without_its_holders(
    ends: tuple[int, int], holders: list[tuple[int, int]]
) -> None:
    span, held = _span(ends), [_span(one) for one in holders]
    kept = [at for piece in carve(span, held) for at in range(piece.start_ns, piece.end_ns)]
    free = {
        at
        for at in range(span.start_ns, span.end_ns)
        if not any(one.start_ns <= at < one.end_ns for one in held)
    }
    assert len(kept) == len(set(kept))
    assert set(kept) == free
