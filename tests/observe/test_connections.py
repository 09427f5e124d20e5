"""What several witnesses saw becomes one story each."""

from typing import Any

import pytest

from kubelag.model.evidence import Syscall
from kubelag.model.network import Connection, Lookup
from kubelag.observe.connections import Watched, lookups_of, merged, merged_lookups

MS = 1_000_000
RUN = Watched(start_ns=0, end_ns=10_000 * MS, interval_ns=8 * MS)


def connection(**changes: Any) -> Connection:
    fields: dict[str, Any] = {
        "client": "10.0.0.9:40000",
        "server": "10.0.0.1:6443",
        "seen_by": "capture",
        "first_ns": 100 * MS,
        "last_ns": 900 * MS,
    }
    return Connection(**(fields | changes))


def test_packets_tell_moments_and_the_kernel_its_own_estimates() -> None:
    captured = connection(syn_ns=100 * MS, sent_bytes=10, sent_again=2, ending="client_fin")
    told = connection(
        seen_by="sockets", syn_ns=1, sent_bytes=9, rtt_smoothed_ns=5, congestion_window=3
    )
    (one,) = merged([captured], [told], RUN)
    assert (one.seen_by, one.syn_ns, one.sent_bytes, one.sent_again) == ("capture", 100 * MS, 10, 2)
    assert (one.rtt_smoothed_ns, one.congestion_window, one.ending) == (5, 3, "client_fin")


def test_what_only_the_sockets_saw_stays() -> None:
    told = connection(seen_by="sockets")
    assert merged([], [told], RUN) == (told,)


def test_another_programs_connection_to_the_same_server_is_dropped() -> None:
    other = connection(client="10.0.0.9:40001")
    assert merged([other], [connection(seen_by="sockets")], RUN) == (connection(seen_by="sockets"),)


def test_where_sockets_could_not_be_watched_all_are_kept() -> None:
    assert merged([connection()], [], None) == (connection(),)


def test_the_same_port_at_another_time_is_another_connection() -> None:
    later = connection(seen_by="sockets", first_ns=5_000 * MS, last_ns=6_000 * MS)
    assert merged([connection()], [later], RUN) == (later,)


@pytest.mark.parametrize(
    ("first_ms", "last_ms", "kept"), [(100, 101, True), (100, 124, False), (-1, 1, False)]
)
def test_what_was_too_short_to_be_watched_is_kept_within_the_run(
    first_ms: int, last_ms: int, kept: bool
) -> None:
    brief = connection(first_ns=first_ms * MS, last_ns=last_ms * MS)
    assert merged([brief], [], RUN) == ((brief,) if kept else ())


@pytest.mark.parametrize(
    ("address", "at_ms", "kept"),
    [("10.0.0.1:6443", 99, True), ("10.0.0.1:6443", 300, False), ("10.0.0.2:6443", 99, False)],
)
def test_recorded_connects_say_whose_a_short_one_was(address: str, at_ms: int, kept: bool) -> None:
    call = Syscall(pid=1, name="connect", start_ns=at_ms * MS, end_ns=at_ms * MS, address=address)
    watched = Watched(start_ns=0, end_ns=RUN.end_ns, interval_ns=RUN.interval_ns, calls=(call,))
    brief = connection(last_ns=101 * MS)
    assert merged([brief], [], watched) == ((brief,) if kept else ())


def call(name: str, start_ms: int, pid: int = 1, **changes: Any) -> Syscall:
    fields: dict[str, Any] = {"address": "10.0.0.53:53", "end_ns": (start_ms + 1) * MS}
    return Syscall(pid=pid, name=name, start_ns=start_ms * MS, **(fields | changes))


def test_a_question_ends_with_its_answer() -> None:
    (one,) = lookups_of([call("connect", 0), call("sendto", 1), call("recvfrom", 40)])
    assert (one.asked_ns, one.answered_ns, one.server) == (0, 41 * MS, "10.0.0.53:53")


def test_an_answer_read_on_another_thread_is_that_questions() -> None:
    (one,) = lookups_of([call("connect", 0), call("recvfrom", 40, pid=2)])
    assert one.answered_ns == 41 * MS


def test_what_was_sent_and_never_read_is_unanswered() -> None:
    (one,) = lookups_of([call("connect", 0), call("sendto", 1)])
    assert one.answered_ns is None


def test_a_connect_alone_asks_nothing() -> None:
    assert lookups_of([call("connect", 0), call("connect", 3, address="10.0.0.1:443")]) == ()


def test_a_read_that_found_nothing_is_no_answer() -> None:
    (one,) = lookups_of(
        [call("sendto", 0), call("recvfrom", 1, error="EAGAIN"), call("recvfrom", 9)]
    )
    assert one.answered_ns == 10 * MS


def lookup(witness: Any, asked_ms: int, answered_ms: int | None, name: str = "") -> Lookup:
    return Lookup(
        server="10.0.0.53:53",
        asked_ns=asked_ms * MS,
        answered_ns=None if answered_ms is None else answered_ms * MS,
        seen_by=witness,
        name=name,
    )


def test_each_question_is_told_by_its_best_witness() -> None:
    both = [lookup("capture", 0, 10, "a"), lookup("capture", 0, 10, "aaaa")]
    calls = [lookup("syscalls", 1, 9), lookup("syscalls", 500, 510)]
    seen = [lookup("sockets", 502, 508), lookup("sockets", 900, None)]
    assert merged_lookups(both, calls, seen) == (*both, calls[1], seen[1])
