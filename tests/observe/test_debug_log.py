"""Debug logs of real clients, as recorded, and of those that were not at hand, as documented."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.debug_log import ClientLog, DebugLogReader

DATA = Path(__file__).parent / "data"
SAMPLES = sorted(DATA.glob("*.log"))
STARTED_NS = int(datetime(2026, 11, 23, 12, 10, tzinfo=UTC).timestamp()) * 1_000_000_000
HEAD = "I1123 12:10:25.436672    5750 "
AT_NS = STARTED_NS + 25_436_672_000
PLANTED = b"UExBTlRFRC1TRUNSRVQ="


def read(data: bytes, *cuts: int) -> tuple[bytes, ClientLog]:
    reader = DebugLogReader(STARTED_NS, zone=UTC)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    shown = [reader.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join([*shown, reader.close()]), reader.result()


def sample(name: str) -> tuple[str, ClientLog]:
    shown, log = read((DATA / f"kubectl-{name}.log").read_bytes())
    return shown.decode(), log


@pytest.mark.parametrize(
    ("version", "requests"), [("1.20", 13), ("1.27", 12), ("1.32", 12), ("1.33", 12)]
)
def test_a_cold_get_nodes_is_read_request_by_request(version: str, requests: int) -> None:
    shown, log = sample(f"{version}-get-nodes-v6")
    assert len(log.requests) == requests
    assert log.requests[0].url == "http://127.0.0.1:6443/api?timeout=32s"
    assert log.requests[-1].url == "http://127.0.0.1:6443/api/v1/nodes?limit=500"
    assert {request.verb for request in log.requests} == {"GET"}
    assert {request.status for request in log.requests} == {200, 503}
    assert log.look.state == "looked"
    assert log.look.events == len(log.requests) + len(log.notes)
    assert "No resources found in default namespace.\n" in shown
    kinds = {note.kind for note in log.notes}
    assert kinds == {"config_loaded", "cache_skipped", "discovery_failed"}


def test_a_request_began_its_milliseconds_before_its_line() -> None:
    _, log = sample("1.20-get-nodes-v6")
    assert log.requests[0].end_ns == STARTED_NS + 25_443_093_000
    assert log.requests[0].start_ns == log.requests[0].end_ns - 5_000_000


def test_errors_that_are_shown_without_a_log_are_let_through() -> None:
    shown, _ = sample("1.33-get-nodes-v6")
    assert shown.count("couldn't get resource list for broken.example.com/v1") == 4
    assert '"Response"' not in shown


def test_an_old_clients_goroutine_dump_is_dropped_and_its_error_kept() -> None:
    shown, log = sample("1.20-refused-v6")
    assert shown == (
        "The connection to the server 127.0.0.1:1 was refused - "
        "did you specify the right host or port?\n"
    )
    assert log.is_fatal_dump
    assert [request.status for request in log.requests] == [None] * 5


def test_a_refused_connection_has_no_status() -> None:
    shown, log = sample("1.33-refused-v6")
    assert [request.status for request in log.requests] == [None] * 5
    assert not log.is_fatal_dump
    assert shown.endswith("did you specify the right host or port?\n")


@pytest.mark.parametrize("version", ["1.20", "1.27", "1.33"])
def test_an_answer_body_is_dropped_and_the_error_below_it_is_not(version: str) -> None:
    shown, log = sample(f"{version}-not-found-v6")
    assert shown == "Error from server (NotFound): not found\n"
    assert log.requests[-1].status == 404


@pytest.mark.parametrize(
    ("version", "first_ns"), [("1.20", 141_191_454), ("1.27", 101_047_614), ("1.33", 67_513_693)]
)
def test_waiting_for_the_clients_own_limit_is_read(version: str, first_ns: int) -> None:
    _, log = sample(f"{version}-throttled-v6")
    assert [note.kind for note in log.notes] == ["throttled"] * 4
    assert log.notes[0].wait_ns == first_ns
    assert log.notes[0].subject.startswith("http://127.0.0.1:6443/apis/g")


@pytest.mark.parametrize("version", ["1.20", "1.33"])
def test_failed_cache_writes_are_read(version: str) -> None:
    _, log = sample(f"{version}-unwritable-v6")
    failed = [note for note in log.notes if note.kind == "cache_write_failed"]
    assert failed[0].subject == (
        "/proc/nope/discovery/127.0.0.1_6443/servergroups.json due to "
        "mkdir /proc/nope: no such file or directory"
    )


@pytest.mark.parametrize("version", ["1.32", "1.33"])
def test_a_retry_after_lies_between_its_two_requests(version: str) -> None:
    _, log = sample(f"{version}-retry-after-v6")
    (note,) = (note for note in log.notes if note.kind == "retry_after")
    first, second = log.requests
    assert (first.status, second.status) == (429, 200)
    assert note.wait_ns == 1_000_000_000
    assert first.end_ns - 1_000_000 <= note.at_ns - note.wait_ns
    assert note.at_ns <= second.start_ns + 1_000_000


@pytest.mark.parametrize("version", ["1.20", "1.27", "1.33"])
def test_bodies_with_secrets_leave_no_trace(version: str) -> None:
    data = (DATA / f"kubectl-{version}-secrets-v9.log").read_bytes()
    assert PLANTED in data
    shown, log = read(data)
    assert PLANTED not in shown
    assert PLANTED.decode() not in repr(log)
    assert log.requests[-1].url.endswith("/secrets?limit=500")


@pytest.mark.parametrize(
    ("message", "kind", "wait_ns", "subject"),
    [
        (
            "request.go:621] Throttling request took 1.06s, request: GET:https://a/apis/b",
            "throttled",
            1_060_000_000,
            "https://a/apis/b",
        ),
        (
            (
                "request.go:655] Waited for 1.01s due to client-side throttling, not priority and "
                "fairness, request: GET:https://a/apis/b"
            ),
            "throttled",
            1_010_000_000,
            "https://a/apis/b",
        ),
        (
            (
                'request.go:752] "Waited before sending request" delay="1.02s" reason="client-side '
                'throttling, not priority and fairness" verb="GET" URL="https://a/apis/b"'
            ),
            "throttled",
            1_020_000_000,
            "https://a/apis/b",
        ),
        (
            "with_retry.go:234] Got a Retry-After 1s response for attempt 1 to https://a/b",
            "retry_after",
            1_000_000_000,
            "https://a/b",
        ),
        (
            (
                'memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group '
                'list: Get \\"https://me:PLANTED@a/api\\": refused"'
            ),
            "discovery_failed",
            0,
            'Get "https://REDACTED@a/api": refused',
        ),
        ("loader.go:372] Config loaded from file:  /a/b", "config_loaded", 0, "/a/b"),
        (
            "cached_discovery.go:82] skipped caching discovery info, no resources found",
            "cache_skipped",
            0,
            "no resources found",
        ),
    ],
)
def test_documented_lines_become_notes(message: str, kind: str, wait_ns: int, subject: str) -> None:
    _, log = read(f"{HEAD}{message}\n".encode())
    (note,) = log.notes
    assert (note.kind, note.at_ns, note.wait_ns, note.subject) == (kind, AT_NS, wait_ns, subject)


def test_a_wait_that_was_announced_before_it_ends_after_it() -> None:
    _, log = read(
        f"{HEAD}request.go:930] Got a Retry-After 2s response for attempt 1 to https://a\n".encode()
    )
    assert log.notes[0].at_ns == AT_NS + 2_000_000_000


@pytest.mark.parametrize(
    ("message", "verb", "url", "status", "took_ms"),
    [
        ("GET https://a/api 200 OK in 12 milliseconds", "GET", "https://a/api", 200, 12),
        ("GET https://a/api  in 32001 milliseconds", "GET", "https://a/api", None, 32001),
        ("POST https://a/b 201 Created in 3 milliseconds", "POST", "https://a/b", 201, 3),
        ("Response Status: 200 OK in 44 milliseconds", "", "", 200, 44),
        ("Response Status:  in 44 milliseconds", "", "", None, 44),
        ('"Response" status="200 OK" milliseconds=45', "", "", 200, 45),
        (
            '"Response" verb="GET" url="https://a/api" status="" milliseconds=9',
            "GET",
            "https://a/api",
            None,
            9,
        ),
        # 1.23 at -v 9 has statistics and no answer.
        (
            (
                "HTTP Statistics: DNSLookup 0 ms Dial 1 ms TLSHandshake 5 ms ServerProcessing 45 "
                "ms Duration 54 ms"
            ),
            "",
            "",
            None,
            54,
        ),
    ],
)
def test_documented_answers_become_requests(
    message: str, verb: str, url: str, status: int | None, took_ms: int
) -> None:
    _, log = read(f"{HEAD}round_trippers.go:1] {message}\n".encode())
    (request,) = log.requests
    assert (request.verb, request.url, request.status) == (verb, url, status)
    assert request.end_ns - request.start_ns == took_ms * 1_000_000


def test_the_numbers_of_a_structured_answer_may_be_on_its_last_line() -> None:
    _, log = read(
        f'{HEAD}round_trippers.go:632] "Response" verb="GET" url="https://a" status="200 OK" '
        "headers=<\n\tDate: x\n > milliseconds=46 dialMilliseconds=0\n".encode()
    )
    assert log.requests[0].end_ns - log.requests[0].start_ns == 46_000_000


def test_statistics_beside_an_answer_are_no_second_request() -> None:
    _, log = read(
        f"{HEAD}round_trippers.go:1] GET https://a 200 OK in 2 milliseconds\n"
        f"{HEAD}round_trippers.go:2] HTTP Statistics: GetConnection 0 ms Duration 2 ms\n".encode()
    )
    assert len(log.requests) == 1


def test_a_body_of_plain_text_ends_at_kubectls_own_words() -> None:
    shown, _ = read(
        f"{HEAD}request.go:1] Response Body: # HELP a\nsecret_metric 1\n"
        "error: You must be logged in\n".encode()
    )
    assert shown == b"error: You must be logged in\n"


def test_a_cut_body_ends_at_its_mark() -> None:
    shown, _ = read(
        f'{HEAD}request.go:1] Response Body: {{"a":\n"b [truncated 99 chars]\nhello\n'.encode()
    )
    assert shown == b"hello\n"


def test_a_prompt_is_shown_before_its_newline() -> None:
    reader = DebugLogReader(STARTED_NS)
    assert reader.feed(b"Please enter Username: ") == b"Please enter Username: "
    assert reader.feed(b"I") == b"I"
    assert reader.feed(b"\nI1123") == b"\n"
    assert reader.close() == b"I1123"


def test_a_client_without_a_debug_log_could_not_be_looked_at() -> None:
    shown, log = read(b"usage: something else\n")
    assert shown == b"usage: something else\n"
    assert log.look.state == "could_not_look"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    reader = DebugLogReader(STARTED_NS)
    for _ in range(40):
        reader.feed(HEAD.encode() + b"request.go:1] Response Body: " + b"a" * 65536)
    assert len(reader._line) <= 256 * 1024


_LINES = st.lists(
    st.sampled_from(
        [line for path in SAMPLES for line in path.read_bytes().splitlines(keepends=True)][::3]
    )
    | st.sampled_from(
        [
            b" >\n",
            b" > milliseconds=3\n",
            b"\tx: y\n",
            b"goroutine 1 [running]:\n",
            b"\n",
            b"I",
            b"F1123 12:10:27.008610    5796 helpers.go:115] bad\n",
            b"\xff\xfe\n",
            b"I1399",
            f'{HEAD}a.go:1] "Response" headers=<\n'.encode(),
            b'{"a": [\n',
            b"]}\n",
            f"{HEAD}a.go:1] Response Body: [\n".encode(),
            b"I0231 12:10:27.008610 5 a.go:1] x\n",
        ]
    )
    | st.binary(max_size=30),
    max_size=30,
).map(b"".join)


@given(data=_LINES, cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_in_any_pieces_give_the_same(data: bytes, cuts: list[int]) -> None:
    assert read(data, *cuts) == read(data)


@given(data=_LINES)
def test_what_is_shown_is_part_of_what_came(data: bytes) -> None:
    shown, _ = read(data)
    rest = iter(data)
    assert all(byte in rest for byte in shown)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_byte_by_byte_gives_the_same(path: Path) -> None:
    data = path.read_bytes()
    assert read(data, *range(len(data))) == read(data)
