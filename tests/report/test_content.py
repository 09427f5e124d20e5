import io
from dataclasses import replace

import pytest

from kubelag.model.report import Report, RuledOut
from kubelag.model.verdict import VerdictValue
from kubelag.report import plain


def text(report: Report, columns: int = 120) -> str:
    stream = io.StringIO()
    plain.write(report, stream, columns=columns)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        ("proven", "Proven cause: "),
        ("likely", "Likely cause, not proven: "),
        ("contributing", "Contributes, but is not the main cause: "),
    ],
)
def test_the_headline_is_as_certain_as_its_verdict(
    incident: Report, verdict: VerdictValue, label: str
) -> None:
    changed = replace(incident, verdicts=(replace(incident.verdicts[0], verdict=verdict),))
    assert f"{label}kubectl 1.20.2 syncs" in text(changed)
    assert ("Proven" in text(changed)) == (verdict == "proven")


def test_an_unknown_verdict_is_never_named_a_cause(samples: dict[str, Report]) -> None:
    shown = text(samples["blind"])
    assert "cause: discovery" not in shown
    assert "Could not be judged, so this may still be guilty" in shown
    assert "missing: syscalls: strace is not installed" in shown


def test_what_was_not_looked_at_never_reads_as_healthy(samples: dict[str, Report]) -> None:
    assert "Could not look, so this may still be guilty" in text(samples["blind"])


def test_the_headline_is_not_said_twice(incident: Report) -> None:
    assert text(incident, 500).count("one after another") == 1


def test_a_factor_acquitted_by_experiment_stands_among_the_innocent(incident: Report) -> None:
    acquitted = replace(
        incident.verdicts[0], verdict="ruled_out", sentence="removing it saved 0 ms"
    )
    shown = text(replace(incident, headline="No cause was found", verdicts=(acquitted,)))
    assert "Ruled out\n  discovery cache fsync  removing it saved 0 ms" in shown


def test_every_factor_and_the_rest_and_the_total_have_a_line(sample: Report) -> None:
    shown = text(sample).splitlines()
    for label in [factor.title for factor in sample.factors] + ["unexplained", "total"]:
        assert any(line.startswith(f"  {label} ") for line in shown)


def test_a_total_without_factors_is_still_a_table(incident: Report) -> None:
    shown = text(replace(incident, factors=(), unexplained_s=10.214, unexplained_share=1.0))
    assert "  unexplained  10.2 s   100.0 %" in shown


def test_a_run_that_cannot_be_repeated_says_that_nothing_is_proven(
    samples: dict[str, Report],
) -> None:
    shown = text(samples["delete"])
    assert "Watched once: it may change something, so nothing below is proven" in shown
    assert "measured saving   not measured" in shown


def test_a_headline_that_hedges_is_not_hedged_twice(samples: dict[str, Report]) -> None:
    assert "Likely cause, not proven: kubectl 1.20.2 syncs" in text(samples["delete"])


def test_an_interrupted_run_has_no_exit_of_its_own(samples: dict[str, Report]) -> None:
    shown = text(samples["interrupted"])
    assert "stopped after 34.2 s" in shown
    assert "Killed" not in shown


def test_a_killed_run_names_the_signal(incident: Report) -> None:
    killed = replace(incident.command, exit_code=None, signal=9)
    assert "ended by SIGKILL" in text(replace(incident, command=killed))
    odd = replace(incident.command, exit_code=None, signal=99)
    assert "ended by signal 99" in text(replace(incident, command=odd))


def test_a_failed_run_shows_its_last_lines(incident: Report) -> None:
    tail = "\n".join(f"line {number}" for number in range(9))
    failed = replace(incident.command, exit_code=1, stderr_tail=tail)
    shown = text(replace(incident, command=failed))
    assert "ended with exit code 1\n  line 4\n" in shown
    assert "line 3" not in shown


def test_a_run_that_took_what_it_should_is_not_called_slow(samples: dict[str, Report]) -> None:
    assert "141 ms; about what it should be (139 ms)" in text(samples["healthy"])


def test_lost_events_are_told(samples: dict[str, Report]) -> None:
    assert "97 events, 3 lost" in text(samples["interrupted"])


def test_controls_that_ran_too_rarely_for_an_interval_tell_their_spread(incident: Report) -> None:
    verdict = incident.verdicts[0]
    assert verdict.proof is not None
    proof = replace(verdict.proof, same_against_same_s=None, placebo_s=None)
    shown = text(replace(incident, verdicts=(replace(verdict, proof=proof),)))
    assert "the runs with nothing removed differ by" in shown


def test_nothing_foreign_reaches_the_paper_as_it_came(incident: Report) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07[red]x[/red]\r\n\u202e"
    command = replace(
        incident.command, argv=("kubectl", evil), client_path=evil, exit_code=1, stderr_tail=evil
    )
    innocent = (RuledOut(cause=evil, sentence=evil),)
    shown = text(
        replace(
            incident, command=command, headline=evil, host=evil, notes=(evil,), ruled_out=innocent
        )
    )
    assert all(line.isprintable() for line in shown.splitlines())
    assert "[red]x[/red]" in shown
    assert "owned" not in shown


def test_a_stream_that_knows_only_ascii_gets_ascii(incident: Report) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    plain.write(replace(incident, host="nœud"), stream)
    stream.flush()
    shown = raw.getvalue().decode("ascii")
    assert "95.3 %  [9.41-9.87 s]  =====" in shown
    assert "on n?ud" in shown
