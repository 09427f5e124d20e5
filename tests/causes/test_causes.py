"""Every cause, with evidence for each thing that it can say."""

from dataclasses import replace

import pytest

from evidence import (
    MS,
    ROOT,
    START,
    S,
    cache,
    call,
    evidence,
    host,
    incident,
    process,
    request,
    tree,
    without,
)
from judging import judged
from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.cache_metadata_slow import CacheMetadataSlow
from kubelag.causes.cache_unwritable import CacheUnwritable
from kubelag.causes.catalogue import CAUSES
from kubelag.causes.contract import Cause
from kubelag.causes.cpu_contended import CpuContended
from kubelag.causes.cpu_throttled import CpuThrottled
from kubelag.causes.credential_plugin_slow import CredentialPluginSlow
from kubelag.causes.discovery_cache_fsync import DiscoveryCacheFsync
from kubelag.causes.memory_pressure import MemoryPressure
from kubelag.model.evidence import Client, Evidence, Look, OwnPhase, OwnRequest
from kubelag.model.units import seconds


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_a_run_in_which_nothing_was_slow_rules_every_cause_out_or_leaves_it_open(
    cause: Cause,
) -> None:
    seen = evidence(1 * S, requests=(request("/api/v1/nodes", 0, 5 * MS),))
    if (
        cause.id == "cache_metadata_slow"
    ):  # nothing explains this second, and only renames were seen
        assert judged(cause, seen).standing == "unknown"
    else:
        assert judged(cause, seen).standing == "ruled_out"


@pytest.mark.parametrize(
    ("cause", "observers"),
    [
        (DiscoveryCacheFsync(), ["syscalls", "calls_in_flight"]),
        (CacheMetadataSlow(), ["syscalls", "calls_in_flight"]),
        (CacheUnwritable(), ["cache_directory"]),
        (CredentialPluginSlow(), ["kubeconfig"]),
        (ApiServerSlow(), ["debug_log"]),
        (CpuThrottled(), ["host"]),
        (CpuContended(), ["process_tree"]),
        (MemoryPressure(), ["host"]),
    ],
    ids=lambda value: None if isinstance(value, list) else value.id,
)
def test_could_not_look_never_reads_as_healthy(cause: Cause, observers: list[str]) -> None:
    judgement = judged(cause, evidence(looks=without(*observers, why="no permission")))
    assert judgement.standing == "unknown"
    assert any("no permission" in text for text in judgement.missing)


def test_without_a_tracer_samples_tell_where_the_time_went_but_count_nothing() -> None:
    seen = incident()
    sampled = tuple(replace(one, is_sampled=True) for one in seen.syscalls)
    judgement = judged(
        DiscoveryCacheFsync(), replace(seen, syscalls=sampled, looks=without("syscalls"))
    )
    assert judgement.standing == "suspected"
    assert "148" not in judgement.sentence + judgement.arithmetic
    assert judgement.facts[0].observer == "calls_in_flight"


def test_without_a_tracer_samples_clear_the_syncs_only_where_the_time_is_explained() -> None:
    blind = without("syscalls")
    unexplained = judged(DiscoveryCacheFsync(), evidence(looks=blind))
    assert unexplained.standing == "unknown"
    asked = (request("/api/v1/nodes", 0, 10 * S),)
    explained = judged(DiscoveryCacheFsync(), evidence(looks=blind, requests=asked))
    assert explained.standing == "ruled_out"
    assert "was seen for 0" in explained.sentence


def test_what_neither_tracer_nor_samples_covered_is_unknown() -> None:
    judgement = judged(CacheMetadataSlow(), evidence(looks=without("calls_in_flight")))
    assert judgement.standing == "unknown"
    assert "openat was not among what was recorded" in judgement.missing[0]


def test_the_incident_is_suspected_with_its_arithmetic() -> None:
    judgement = judged(DiscoveryCacheFsync(), incident())
    assert judgement.standing == "suspected"
    assert "kubectl 1.20.2" in judgement.sentence
    assert judgement.arithmetic == "148 fsyncs x 65.0 ms (median) = 9.62 s"
    assert judgement.low_ns <= judgement.high_ns == 148 * 65 * MS


def test_syncs_elsewhere_are_not_the_caches() -> None:
    syncs = tuple(call("fsync", i * 100 * MS, 90 * MS, "/var/log/x") for i in range(50))
    assert judged(DiscoveryCacheFsync(), evidence(syscalls=syncs)).standing == "ruled_out"


def test_a_journal_wait_is_told_apart_from_a_slow_file_system() -> None:
    waits = tuple(call("renameat", i * 100 * MS, 90 * MS, f"{ROOT}/http/{i}") for i in range(8))
    waiting = judged(CacheMetadataSlow(), evidence(1 * S, syscalls=waits))
    assert "waited 720 ms for the journal of ext4 on loop0" in waiting.sentence
    on_nfs = evidence(1 * S, syscalls=waits, cache=cache(file_system="nfs4", device=None))
    assert "lies on nfs4" in judged(CacheMetadataSlow(), on_nfs).sentence


def test_what_a_credential_plugin_took_is_not_held_against_the_server() -> None:
    plugin = process(2, 1, "/opt/aws", 100 * MS, 1400 * MS)
    seen = evidence(
        2 * S,
        credential_plugin="aws",
        processes=(process(1, None, "/usr/bin/kubectl", 0, 2 * S), plugin),
        requests=(request("/api/v1/nodes", 90 * MS, 1420 * MS),),
    )
    judgement = judged(ApiServerSlow(), seen)
    assert judgement.standing == "ruled_out"
    assert "20.0 ms each (median)" in judgement.sentence


def test_a_quota_that_nobody_could_read_is_not_ruled_out() -> None:
    judgement = judged(CpuThrottled(), evidence(host=(replace(host(0), throttled_ns=None),)))
    assert judgement.standing == "unknown"
    assert "cpu.stat" in judgement.missing[0]


def test_threads_that_wait_for_the_journal_together_wait_once() -> None:
    waits = tuple(call("openat", 0, 400 * MS, f"{ROOT}/http/{i}") for i in range(12))
    judgement = judged(CacheMetadataSlow(), evidence(1 * S, syscalls=waits))
    assert "12 file calls" in judgement.sentence
    assert "waited 400 ms for the journal" in judgement.sentence


def test_when_every_file_call_was_watched_and_quick_metadata_is_ruled_out() -> None:
    look = Look(observer="syscalls", state="looked", how="tracefs, files", recorded=("openat",))
    seen = evidence(1 * S)
    seen = replace(seen, looks=(look, *(one for one in seen.looks if one.observer != "syscalls")))
    assert judged(CacheMetadataSlow(), seen).standing == "ruled_out"


def test_a_dangling_link_is_named_with_the_requests_that_it_costs() -> None:
    asked = tuple(request(f"/apis/g{i}/v1", i * 100 * MS, 90 * MS) for i in range(40))
    broken = cache(state="dangling_link", problem="it is a link to /dev/shm/x, which is gone")
    judgement = judged(CacheUnwritable(), evidence(requests=asked, cache=broken))
    assert judgement.standing == "suspected"
    assert "which is gone" in judgement.sentence
    assert "40 discovery requests" in judgement.sentence
    assert judgement.remedies[0] == "repair-cache-link"


def test_refused_writes_in_the_cache_are_enough_to_suspect_it() -> None:
    refused = (call("mkdirat", 0, 1000, f"{ROOT}/http", result=-1, error="EACCES"),)
    judgement = judged(CacheUnwritable(), evidence(syscalls=refused))
    assert judgement.standing == "suspected"
    assert any("EACCES" in fact.text for fact in judgement.facts)


def test_a_slow_plugin_is_blamed_and_the_request_that_waited_for_it_is_not() -> None:
    seen = evidence(
        2500 * MS,
        credential_plugin="aws",
        processes=(
            process(1, None, "/usr/bin/kubectl", 0, 2500 * MS),
            process(2, 1, "/usr/bin/aws", 100 * MS, 2000 * MS),
        ),
        requests=(request("/api", 50 * MS, 2100 * MS),),
    )
    judgement = judged(CredentialPluginSlow(), seen)
    assert judgement.standing == "suspected"
    assert judgement.low_ns == judgement.high_ns == 2000 * MS
    assert judged(ApiServerSlow(), seen).low_ns <= 150 * MS


@pytest.mark.parametrize(("cpu_ms", "work_ms"), [(40, 40), (900, 100)])
def test_the_clients_work_on_the_answers_may_go_with_them_but_only_a_little_of_it(
    cpu_ms: int, work_ms: int
) -> None:
    asked = tuple(request(f"/apis/g{i}", 0, 400 * MS) for i in range(9))
    used = (tree(0), tree(2 * S, cpu_ns=cpu_ms * MS))
    judgement = judged(ApiServerSlow(), evidence(2 * S, requests=asked, tree=used))
    assert (judgement.low_ns, judgement.high_ns) == (400 * MS, (400 + work_ms) * MS)


def test_a_slow_server_is_suspected_by_its_typical_request() -> None:
    asked = (
        *(request(f"/apis/g{i}/v1", 600 * MS, 300 * MS) for i in range(70)),
        request("/api", 0, 300 * MS),
        request("/apis", 300 * MS, 300 * MS),
        request("/api/v1/nodes", 900 * MS, 300 * MS),
    )
    judgement = judged(ApiServerSlow(), evidence(1250 * MS, requests=asked))
    assert judgement.standing == "suspected"
    assert "4.0 answers waited for in series" in judgement.arithmetic


def own(status: int | None = 200, **took_ns: int) -> OwnRequest:
    """A request by kubelag's own client, with these phases."""
    phases = [OwnPhase(kind=kind, took_ns=took) for kind, took in took_ns.items()]  # type: ignore[arg-type]
    return OwnRequest(verb="GET", url="/x", status=status, took_ns=S, phases=tuple(phases))


def slow_server(asked: int, **changes: object) -> Evidence:
    """Requests of 300 ms one after the other, and two quick ones."""
    slow = tuple(request(f"/api/v1/nodes/{i}", i * 300 * MS, 300 * MS) for i in range(asked))
    quick = (request("/api", 0, 5 * MS), request("/apis", 0, 5 * MS))
    return replace(evidence(asked * 300 * MS, requests=(*slow, *quick)), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [1, 5], ids=["one slow answer", "all of them"])
def test_an_own_client_that_waited_too_speaks_for_the_server_and_changes_no_figure(
    asked: int,
) -> None:
    alone = judged(ApiServerSlow(), slow_server(asked))
    waited = judged(ApiServerSlow(), slow_server(asked, own_request=own(server=310 * MS)))
    (fact,) = [one for one in waited.facts if one.observer == "own_request"]
    assert fact.text == (
        "kubelag's own client waited 310 ms for the answer to GET /x too, "
        "so it is not kubectl 1.20.2 alone"
    )
    assert replace(waited, facts=alone.facts) == alone


@pytest.mark.parametrize(
    "seen",
    [None, own(server=2 * MS), own(403, server=S), own(None, server=S), own(connect=S)],
    ids=["not sent", "quick", "refused", "unanswered", "the way was slow"],
)
def test_an_own_client_that_did_not_wait_for_the_answer_speaks_for_nothing(
    seen: OwnRequest | None,
) -> None:
    judgement = judged(ApiServerSlow(), slow_server(5, own_request=seen))
    assert judgement.standing == "suspected"
    assert not [fact for fact in judgement.facts if fact.observer == "own_request"]


def test_an_own_client_alone_accuses_no_server() -> None:
    seen = evidence(
        S, requests=(request("/api/v1/nodes", 0, 5 * MS),), own_request=own(server=9 * S)
    )
    assert judged(ApiServerSlow(), seen).standing == "ruled_out"


@pytest.mark.parametrize(("took_ns", "is_told"), [(2 * S, True), (5 * MS, False)])
def test_what_the_plugin_took_our_own_client_is_told_where_it_took_long(
    took_ns: int, *, is_told: bool
) -> None:
    seen = evidence(
        2500 * MS,
        credential_plugin="aws",
        processes=(
            process(1, None, "/usr/bin/kubectl", 0, 2500 * MS),
            process(2, 1, "/usr/bin/aws", 100 * MS, 2000 * MS),
        ),
        own_request=own(credential=took_ns),
    )
    texts = [fact.text for fact in judged(CredentialPluginSlow(), seen).facts]
    assert ("kubelag's own client waited 2.00 s for aws too" in texts) == is_told


def test_a_quota_is_suspected_by_its_throttled_time() -> None:
    seen = evidence(host=(host(0), host(10 * S, throttled_periods=90, throttled_ns=8 * S)))
    judgement = judged(CpuThrottled(), seen)
    assert judgement.standing == "suspected"
    assert "90 periods" in judgement.sentence


@pytest.mark.parametrize(
    ("queue_ns", "others_ns", "standing", "told"),
    [
        (6 * S, 15 * S, "suspected", "other work kept the processors busy"),
        (1 * S, 15 * S, "suspected", "other work kept the processors busy"),
        (6 * S, 1 * S, "suspected", "though other work used 5 % of the processors"),
        (1 * S, 1 * S, "suspected", "though other work used 5 % of the processors"),
        (S // 20, 1 * S, "ruled_out", "other work used 5 % of the processors"),
    ],
)
def test_waiting_for_a_processor_is_held_against_others_only_where_they_used_it(
    queue_ns: int, others_ns: int, standing: str, told: str
) -> None:
    own_ns = 1 * S
    queued = tree(10 * S, cpu_ns=own_ns, run_queue_ns=queue_ns)
    machine = (host(0), host(10 * S, cpu_busy_ns=own_ns + others_ns, cpu_total_ns=20 * S))
    judgement = judged(CpuContended(), evidence(tree=(tree(0), queued), host=machine))
    assert judgement.standing == standing
    assert told in judgement.sentence
    assert seconds(queue_ns) in judgement.sentence


def test_pressure_of_others_is_not_ours_but_with_our_own_faults_it_is() -> None:
    pressed = (host(0), host(10 * S, psi_memory_some_us=5_000_000))
    assert judged(MemoryPressure(), evidence(host=pressed)).standing == "ruled_out"
    faulting = (tree(0), tree(10 * S, major_faults=900))
    judgement = judged(MemoryPressure(), evidence(host=pressed, tree=faulting))
    assert judgement.standing == "suspected"
    assert "900 major page faults" in judgement.sentence


def test_faults_without_pressure_figures_are_unknown_and_not_innocent() -> None:
    blindly = (host(0, psi_memory_some_us=None), host(10 * S, psi_memory_some_us=None))
    seen = evidence(host=blindly, tree=(tree(0), tree(10 * S, major_faults=900)))
    assert judged(MemoryPressure(), seen).standing == "unknown"


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_no_evidence_at_all_crashes_no_cause(cause: Cause) -> None:
    nobody = Client(name="x", path="", real_path="")
    seen = evidence(0, client=nobody, cache=None, looks=(), host=(), tree=(), path=None)
    assert judged(cause, seen).standing == "unknown"
    assert seen.run.start_ns == START


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_each_cause_is_a_page_of_the_manual(cause: Cause) -> None:
    import sys  # noqa: PLC0415 - the module of the class is all that is wanted

    page = sys.modules[type(cause).__module__].__doc__ or ""
    for section in (
        "What it is",
        "How it is told apart",
        "What it costs",
        "Versions",
        "Sources",
    ):
        assert f"\n{section}\n" in page


def test_slow_requests_of_a_stopped_client_say_nothing_about_the_server() -> None:
    asked = tuple(request(f"/apis/g{i}/v1", 0, 900 * MS) for i in range(70))
    stopped = (host(0), host(1 * S, throttled_periods=9, throttled_ns=600 * MS))
    judgement = judged(ApiServerSlow(), evidence(1 * S, requests=asked, host=stopped))
    assert judgement.standing == "unknown"
    assert "held up for 600 ms" in judgement.missing[0]


@pytest.mark.parametrize(
    ("cause", "name"), [(DiscoveryCacheFsync(), "fsync"), (CacheMetadataSlow(), "openat")]
)
def test_slow_calls_on_unknown_files_leave_it_open(cause: Cause, name: str) -> None:
    calls = tuple(call(name, i * 100 * MS, 90 * MS, "") for i in range(9))
    seen = evidence(1 * S, syscalls=tuple(replace(one, path=None) for one in calls))
    assert judged(cause, seen).standing == "unknown"
