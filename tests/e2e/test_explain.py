"""The whole program on real parts: real kubectl, a real slow disk, the real protocol."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kubelag.lab.slow_directory import SlowDirectory
from program import Done, Program, contention_percent, script, tree

pytestmark = pytest.mark.real
SCHEMA = json.loads(Path(__file__).parents[2].joinpath("schema/report-1.json").read_text())

BUSY_PERCENT = 40.0
"""Beyond this the spread of equal runs may hide what is to be proven. Arbitrary."""
OLD = re.compile(r"kubectl 1\.(?:1\d|2[0-4])\.\d+")
"""A client from before the fix in 1.25.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """The founding incident, explained once for all tests that look at it."""

    done: Done
    bundle: Path
    report: Any
    before: dict[str, Any]
    after: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="session")
def incident(
    slow_disk: SlowDirectory,
    old_kubectl: Path,
    kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Incident:
    home = Path(tempfile.mkdtemp(prefix="incident-", dir=slow_disk.path))
    env = {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "PATH": os.environ["PATH"]}
    kubelag = Program(env=env)
    place = tmp_path_factory.mktemp("incident")
    warmed = kubelag("explain", "-q", "--no-proof", old_kubectl, "get", "nodes")
    assert warmed.code == 0, warmed
    before = tree(home, kubeconfig)
    done = kubelag("explain", "--cold", "--save", place / "bundle", old_kubectl, "get", "nodes")
    after = tree(home, kubeconfig)
    report = kubelag("explain", "--from", place / "bundle", "--format", "json").report
    return Incident(
        done=done,
        bundle=place / "bundle",
        report=report,
        before=before,
        after=after,
        left=kubelag.left(),
    )


def verdict(report: Any, cause: str) -> Any:
    found = [line for line in report["verdicts"] if line["cause"] == cause]
    assert found, report["headline"]
    return found[0]


def check(report: Any) -> None:
    jsonschema.validate(report, SCHEMA)
    shares = [factor["share"] for factor in report["factors"]]
    assert sum(shares) + report["unexplained_share"] == pytest.approx(1)
    spent = [factor["critical_s"] for factor in report["factors"]]
    assert sum(spent) + report["unexplained_s"] == pytest.approx(report["wall_s"])
    for factor in report["factors"]:
        assert factor["exclusive_s"] <= factor["critical_s"] + 1e-9 <= factor["union_s"] + 2e-9


def check_proof(line: Any) -> None:
    if line["verdict"] == "likely" and (busy_percent := contention_percent()) > BUSY_PERCENT:
        pytest.skip(f"others keep this machine busy (PSI {busy_percent:g} %), so runs differ")
    assert line["verdict"] == "proven", line
    assert line["proof"]["pairs"] >= 3
    assert line["proof"]["ci95_s"][0] > 0
    arms = {arm["name"] for arm in line["proof"]["arms"]}
    assert {"unchanged", "unchanged_again", "placebo"} < arms


def test_the_incident_is_proven_to_be_the_caches_syncs(incident: Incident) -> None:
    assert incident.done.code == 0, incident.done.err
    check(incident.report)
    line = incident.report["verdicts"][0]
    assert line["cause"] == "discovery_cache_fsync"
    check_proof(line)
    assert OLD.search(line["sentence"])
    assert "1.25.0" in line["sentence"]
    assert "fsyncs" in line["arithmetic"]
    assert {"cache-in-memory", "upgrade-client"} <= {
        one["id"] for one in incident.report["remedies"]
    }


def test_what_is_innocent_is_ruled_out_with_its_figure(incident: Incident) -> None:
    innocent = {line["cause"]: line["sentence"] for line in incident.report["ruled_out"]}
    assert {"cache_unwritable", "credential_plugin_slow", "api_server_slow"} <= set(innocent)
    assert "(median)" in innocent["api_server_slow"]


def test_the_proof_shows_what_the_command_should_take(incident: Incident) -> None:
    assert incident.report["expected_s"] < 0.5 * incident.report["wall_s"]
    assert incident.report["observer"]["events"] > 0
    assert incident.report["observer"]["lost"] == 0
    assert re.search(r"experiments: settled after \d+ blocks", incident.done.out)


def test_progress_says_what_was_found_so_far(incident: Incident) -> None:
    assert "kubelag: watching one run" in incident.done.err
    assert "kubelag: experiments, block 3" in incident.done.err
    assert "without fsync: saves" in incident.done.err


def test_nothing_of_the_users_is_changed_and_nothing_is_left(incident: Incident) -> None:
    # Private caches come and go beside the user's own, which only that directory's time tells.
    home = next(iter(incident.before))
    for place in (home, f"{home}/.kube"):
        assert without_time(incident.before.pop(place)) == without_time(incident.after.pop(place))
    assert incident.before == incident.after
    assert incident.left == []


def without_time(facts: tuple[object, ...]) -> tuple[object, ...]:
    return facts[:3] + facts[4:]


@pytest.mark.parametrize("env", [{}, {"HOME": "", "PATH": ""}], ids=["here", "elsewhere"])
def test_a_bundle_gives_the_very_same_report(
    incident: Incident, kubelag: Program, env: dict[str, str]
) -> None:
    again = kubelag.having(**env)("explain", "--from", incident.bundle)
    assert (again.code, again.err) == (0, "")
    assert again.out == incident.done.out


def test_a_report_that_is_piped_has_no_escape_codes(incident: Incident) -> None:
    assert "\x1b" not in incident.done.out + incident.done.err


def test_a_client_that_does_not_sync_waits_for_a_slow_file_system(
    kubelag: Program, new_kubectl: Path, metadata_disk: SlowDirectory, tmp_path: Path
) -> None:
    slow = kubelag.having(HOME=metadata_disk.path)
    output = tmp_path / "report.json"
    words = ("--cold", "--format", "json", "--output", output, new_kubectl, "get", "nodes")
    done = slow("explain", *words)
    assert (done.code, done.out) == (0, ""), done.err
    report = json.loads(output.read_text())
    assert output.stat().st_mode & 0o777 == 0o600
    check(report)
    assert verdict(report, "cache_metadata_slow")["verdict"] in {"proven", "likely"}
    assert "discovery_cache_fsync" in {line["cause"] for line in report["ruled_out"]}


def test_a_warm_run_is_fast_and_the_report_says_until_when(
    kubelag: Program, old_kubectl: Path, home: Path
) -> None:
    kubelag("explain", "-q", "--no-proof", old_kubectl, "get", "nodes")
    before = tree(home)
    done = kubelag("explain", "--format", "json", old_kubectl, "get", "nodes")
    assert done.code == 0, done.err
    check(done.report)
    # Where others keep the machine busy, a short run waits for a processor, and that is told.
    assert {line["cause"] for line in done.report["verdicts"]} <= {"cpu_contended"}
    assert done.report["cache"]["state"] == "warm"
    notes = " ".join(done.report["notes"])
    assert "the discovery cache was warm and stays so until" in notes
    assert "--cold explains the run that will hurt" in notes
    assert tree(home) == before


def test_it_is_a_plugin_of_kubectl_that_takes_its_own_options_first(
    kubelag: Program, old_kubectl: Path, tmp_path: Path
) -> None:
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    (bin_directory / "kubectl").symlink_to(old_kubectl)
    scripts = Path(sys.executable).parent
    if not (scripts / "kubectl-lag").exists():
        pytest.skip("the entry point kubectl-lag is not installed beside this Python")
    path = f"{bin_directory}:{scripts}:/usr/bin:/bin"
    plugin = Program(env={**kubelag.env, "PATH": path}, argv=(str(bin_directory / "kubectl"),))
    done = plugin("lag", "--no-proof", "--format", "json", "get", "nodes")
    assert done.code == 0, done.err
    assert done.report["command"]["argv"] == ["kubectl", "get", "nodes"]
    assert OLD.fullmatch(done.report["command"]["client"])
    assert plugin.left() == []


def test_a_slow_api_server_is_proven(
    kubelag: Program, start_server: Callable[..., Path], new_kubectl: Path
) -> None:
    far = kubelag.having(KUBECONFIG=start_server(latency_s=0.3) / "kubeconfig-certificate.yaml")
    done = far("explain", "--cold", "--format", "json", new_kubectl, "get", "nodes")
    assert done.code == 0, done.err
    check(done.report)
    check_proof(verdict(done.report, "api_server_slow"))


def test_a_cache_that_is_a_link_to_nothing_is_proven_and_stays_one(
    kubelag: Program, start_server: Callable[..., Path], old_kubectl: Path, home: Path
) -> None:
    # An old client asks three times for each group-version, and beyond 150 it waits in between.
    kubeconfig = start_server(group_versions=52) / "kubeconfig-certificate.yaml"
    (home / ".kube").mkdir()
    (home / ".kube/cache").symlink_to("/nowhere/at/all")
    before = tree(home, kubeconfig)
    crowded = kubelag.having(KUBECONFIG=kubeconfig)
    done = crowded("explain", "--format", "json", old_kubectl, "get", "nodes")
    assert done.code == 0, done.err
    check(done.report)
    line = done.report["verdicts"][0]
    assert line["cause"] == "cache_unwritable"
    check_proof(line)
    assert "/nowhere/at/all" in line["sentence"]
    assert "repair-cache-link" in line["remedies"]
    after = tree(home, kubeconfig)
    kube = str(home / ".kube")
    assert without_time(before.pop(kube)) == without_time(after.pop(kube))
    assert before == after


def test_a_wrapper_is_seen_through(kubelag: Program, old_kubectl: Path, tmp_path: Path) -> None:
    wrapper = script(tmp_path / "kubectl", f'exec {old_kubectl} "$@"')
    done = kubelag("explain", "--no-proof", "--format", "json", wrapper, "get", "nodes")
    command = done.report["command"]
    assert OLD.fullmatch(command["client"])
    assert command["client_path"] == str(old_kubectl)
    assert command["wrappers"] == [str(wrapper)]
