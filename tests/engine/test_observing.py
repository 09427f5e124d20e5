"""One observed run as evidence, and when a deeper one is worth its price."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from evidence import MS, START, S, call, evidence, request, without
from kubelag.engine import observing
from kubelag.engine.observing import (
    Manner,
    needs_depth,
    observe,
    target_of,
    with_own_request,
)
from kubelag.engine.setting import Setting, look_at
from kubelag.model.evidence import Evidence, Request, Run
from kubelag.observe.recorders import Chosen
from program import fake_kubectl

LOG = (
    "I0102 03:04:05.678901       7 round_trippers.go:454] "
    "GET https://127.0.0.1:1/api/v1/nodes?limit=500 200 OK in 5 milliseconds"
)


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No system call can be watched."""
    monkeypatch.setattr(observing, "choose", lambda _depth: Chosen(None, "no tracer here"))


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """A client that writes one line of log where it is asked to."""
    asked = f"case \" $* \" in *' -v=6 '*) echo '{LOG}' >&2;; esac"
    kubectl = fake_kubectl(tmp_path / "kubectl", asked, "exit 3")
    exec_spec = {"apiVersion": "v1", "command": "/opt/bin/login"}
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": exec_spec}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    env = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(tmp_path / "config"),
    }
    return look_at((str(kubectl), "get", "nodes"), env)


def seen(setting: Setting, *, cold: bool = False) -> Evidence:
    shown = ("kubectl", "get", "nodes", "--token=planted")
    return observe(setting, Manner(), shown=shown, cold=cold)


@pytest.mark.usefixtures("blind")
def test_everything_that_is_known_is_put_together(setting: Setting) -> None:
    found = seen(setting, cold=True)
    assert found.command == ("kubectl", "get", "nodes", "--token=REDACTED")
    assert found.cold
    assert found.repeatable
    assert found.run.exit_code == 3
    assert [one.url for one in found.requests] == ["https://127.0.0.1:1/api/v1/nodes?limit=500"]
    assert found.cache == setting.cache
    assert found.credential_plugin == "login"
    assert found.client.version == "1.33.4"
    names = [one.observer for one in found.looks]
    assert len(names) == len(set(names))
    assert {"syscalls", "debug_log", "kubeconfig", "cache_directory"} <= set(names)


@pytest.mark.usefixtures("blind")
def test_what_could_not_be_watched_is_told(setting: Setting) -> None:
    look = seen(setting).look("syscalls")
    assert look is not None
    assert (look.state, look.how) == ("could_not_look", "no tracer here")


def unexplained(rest_ns: int, wall_ns: int = 10 * S) -> Evidence:
    """A run of which all but the rest was spent on one sync."""
    sync = call("fsync", 0, wall_ns - rest_ns, "/home/u/.kube/cache/x")
    return evidence(wall_ns, syscalls=(sync,), requests=(request("/api", 0, MS),))


def test_a_run_without_explanation_is_worth_a_deeper_one() -> None:
    assert needs_depth(unexplained(3 * S))


@pytest.mark.parametrize(
    "found",
    [
        unexplained(1 * S),
        unexplained(20 * MS, wall_ns=50 * MS),
        replace(unexplained(3 * S), repeatable=False),
        replace(unexplained(3 * S), looks=without("syscalls")),
        replace(
            unexplained(3 * S),
            run=Run(start_ns=START, end_ns=START + 10 * S, exit_code=None, interrupted=True),
        ),
    ],
    ids=["explained", "too short to matter", "not to be repeated", "nobody could look", "cut"],
)
def test_any_other_run_is_not(found: Evidence) -> None:
    assert not needs_depth(found)


def test_the_slowest_request_for_an_object_or_a_list_is_the_one_to_send_again() -> None:
    slow = request("/api/v1/pods?limit=500", 0, 2 * S)
    quick = request("/api/v1/nodes/x", 3 * S, 5 * MS)
    assert target_of(evidence(requests=(request("/apis", 0, 9 * S), slow, quick))) == slow


@pytest.mark.parametrize(
    "asked",
    [
        request("/api/v1", 0, S),
        replace(request("/api/v1/nodes", 0, S), verb="POST"),
        replace(request("/api/v1/nodes", 0, S), status=None),
        request("/api/v1/nodes?watch=true", 0, S),
        request("/api/v1/nodes?continue=abc&limit=500", 0, S),
        request("/api/v1/namespaces/x/pods/y/log", 0, S),
        request("/api/v1/nodes?token=REDACTED", 0, S),
    ],
    ids=["discovery", "changes", "unanswered", "endless", "a part", "a log", "redacted"],
)
def test_no_other_request_is_sent_again(asked: Request) -> None:
    assert target_of(evidence(requests=(asked,))) is None


def test_what_became_of_it_goes_into_the_evidence(setting: Setting) -> None:
    """Its plugin speaks no version that there is: that is told, and nothing raised."""
    found = with_own_request(setting, evidence(), request("/api/v1/nodes", 0, S))
    look = found.look("own_request")
    assert look is not None
    assert look.state == "could_not_look"
    assert look.how == "the exec plugin /opt/bin/login speaks v1"
