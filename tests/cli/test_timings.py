"""Where the time of a command went, from recorded events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.cli.timings import Recorder, _union_ns
from kubelag.kube.transport.events import Phase, RequestDone

MS = 1_000_000


def phase(kind: str, began_ms: int, ended_ms: int, **fields: object) -> Phase:
    return Phase(
        kind=kind,  # type: ignore[arg-type]  # one of them
        began_ns=began_ms * MS,
        ended_ns=ended_ms * MS,
        **fields,  # type: ignore[arg-type]  # fields of it
    )


def done(request: int, began_ms: int, ended_ms: int, **fields: object) -> RequestDone:
    plain = {"connection": 1, "method": "GET", "target": f"/{request}", "status": 200}
    return RequestDone(
        request=request,
        began_ns=began_ms * MS,
        ended_ns=ended_ms * MS,
        **{**plain, **fields},  # type: ignore[arg-type]  # fields of it
    )


EVENTS = (
    phase("cache", 0, 5, detail="kubelag's own index"),
    phase("dns", 10, 12, connection=1),
    phase("connect", 12, 13, connection=1),
    phase("tls", 13, 20, connection=1),
    phase("server", 20, 50, connection=1, request=1),
    phase("transfer", 50, 51, connection=1, request=1),
    done(1, 10, 51),
    phase("server", 60, 90, connection=1, request=2),
    done(2, 60, 100, status=None, why="broken off"),
)


def recorded(verbosity: int = 0) -> Recorder:
    recorder = Recorder(verbosity, 0)
    for event in EVENTS:
        recorder(event)
    return recorder


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_every_request_has_a_line_and_its_phases_a_column() -> None:
    header, first, second, *_ = recorded().table(200 * MS).splitlines()
    assert cells(header) == [
        "REQUEST",
        "STATUS",
        "DNS",
        "CONNECT",
        "TLS",
        "SERVER",
        "TRANSFER",
        "TOTAL",
    ]
    assert cells(first) == [
        *("GET /1", "200", "2.0 ms", "1.0 ms", "7.0 ms", "30.0 ms", "1.0 ms", "41.0 ms")
    ]
    assert cells(second) == ["GET /2", "none", "30.0 ms", "40.0 ms"]
    assert len({len(line) for line in (header, first, second)}) == 1


def test_what_is_no_request_is_summed_up() -> None:
    text = recorded().table(200 * MS)
    assert "in 2 requests    81.0 ms" in text
    assert "outside requests  119.0 ms  (of it reading the cache 5.0 ms)" in text
    assert "before kubelag" in text
    assert "credential" not in text


def test_a_plugin_has_a_line_of_its_own() -> None:
    recorder = recorded()
    recorder(phase("credential", 100, 140, detail="aws"))
    assert "credential plugin 40.0 ms" in recorder.table(200 * MS)


def test_without_any_request_there_is_no_table() -> None:
    text = Recorder(0, 0).table(5 * MS)
    assert "REQUEST" not in text
    assert "in 0 requests" in text


@pytest.mark.parametrize(("verbosity", "lines"), [(0, 0), (5, 0), (6, 2), (8, 2), (9, 9), (10, 9)])
def test_verbosity_tells_requests_and_then_their_phases(
    verbosity: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(verbosity)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == lines
    if lines:
        assert "kubelag: GET /1 200 in 41.0 ms" in told
        assert "kubelag: GET /2 broken off in 40.0 ms" in told


SPANS = st.lists(
    st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda two: tuple(sorted(two)))
)


@given(SPANS)
def test_the_union_of_spans_counts_every_moment_once(spans: list[tuple[int, int]]) -> None:
    moments = {at for began, ended in spans for at in range(began, ended)}
    assert _union_ns(spans) == len(moments)
