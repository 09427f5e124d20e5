"""What was recorded and what was seen in flight make one list of calls."""

from dataclasses import replace

import pytest

from kubelag.model.evidence import Syscall
from kubelag.observe.in_flight import Sighting
from kubelag.observe.sightings import complete

CALL = Syscall(pid=7, name="fsync", start_ns=1_000, end_ns=5_000)
SEEN = Sighting(
    tid=7, name="fsync", first_ns=2_000, last_ns=4_000, start_ns=1_500, end_ns=4_500, path="/c/x"
)
OPENED = replace(SEEN, name="openat")


def test_a_sighting_within_a_recorded_call_gives_its_file() -> None:
    assert complete([CALL], [SEEN], ["fsync"], 0) == (replace(CALL, path="/c/x"),)


def test_two_equal_calls_that_one_sighting_covers_both_get_its_file() -> None:
    second = replace(CALL, start_ns=3_500, end_ns=6_000)
    first = replace(CALL, end_ns=3_000)
    told = complete([first, second], [SEEN], ["fsync"], 0)
    assert [call.path for call in told] == ["/c/x", "/c/x"]


@pytest.mark.parametrize(
    "other",
    [
        replace(SEEN, first_ns=100, last_ns=999),
        replace(SEEN, first_ns=5_001, last_ns=6_000),
        replace(SEEN, name="fdatasync"),
        replace(SEEN, tid=8),
    ],
    ids=["before", "after", "another call", "another thread"],
)
def test_a_sighting_of_anything_else_does_not(other: Sighting) -> None:
    assert complete([CALL], [other], ["fsync", "fdatasync"], 0) == (CALL,)


def test_a_file_that_was_recorded_stands() -> None:
    named = replace(CALL, path="/c/recorded")
    assert complete([named], [SEEN], ["fsync"], 0) == (named,)


def test_a_call_that_nobody_recorded_is_told_as_a_sample() -> None:
    assert complete([], [OPENED], ["fsync"], 0) == (
        Syscall(pid=7, name="openat", start_ns=1_500, end_ns=4_500, path="/c/x", is_sampled=True),
    )


def test_a_sample_of_what_is_recorded_anyway_is_not_told_twice() -> None:
    assert complete([], [SEEN], ["fsync"], 0) == ()


def test_a_socket_or_pipe_is_no_file() -> None:
    assert complete([], [replace(OPENED, name="write", path="socket:[12]")], [], 0) == ()


def test_what_came_before_the_command_was_our_own_doing() -> None:
    assert complete([], [OPENED], [], 4_001) == ()
    (cut,) = complete([], [OPENED], [], 1_800)
    assert cut.start_ns == 1_800


def test_all_calls_come_by_start_time() -> None:
    early = replace(OPENED, start_ns=500)
    assert [call.name for call in complete([CALL], [early], ["fsync"], 0)] == ["openat", "fsync"]
