"""What is known of a command before it runs, and what is refused then."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelag.engine.setting import Setting, look_at, refuse_unsafe
from kubelag.errors import CommandNotFoundError, KubeconfigError, RefusedError, UsageError
from kubelag.launch.child import Child
from kubelag.observe.cache_directory import OBSERVER as CACHE_DIRECTORY
from program import fake_kubectl, script

CONFIG = {
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}
Look = Callable[..., Setting]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Looks at a kubectl command line in a home of its own."""
    kubectl = fake_kubectl(tmp_path / "kubectl")
    (tmp_path / "config").write_text(json.dumps(CONFIG))
    env = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(tmp_path / "config"),
    }

    def at(line: str, child: Child | None = None, **more: str) -> Setting:
        return look_at((str(kubectl), *line.split()), {**env, **more}, child)

    return at


def test_client_cache_config_and_safety_are_known(look: Look, tmp_path: Path) -> None:
    setting = look("get nodes")
    assert setting.is_kubectl
    assert setting.client.version == "1.33.4"
    assert setting.repeatable.is_repeatable
    assert setting.cache is not None
    assert (setting.cache.root, setting.cache.state) == (f"{tmp_path}/.kube/cache", "cold")
    assert setting.kubeconfig is not None
    assert setting.kubeconfig.cluster.server == "https://127.0.0.1:1"
    assert {one.observer: one.state for one in setting.looks} == {
        "kubeconfig": "looked",
        CACHE_DIRECTORY: "looked",
    }


def test_its_environment_is_not_shown(look: Look) -> None:
    assert "planted" not in repr(look("get nodes", SECRET="planted"))


@pytest.mark.parametrize(
    ("line", "watched"),
    [
        ("get nodes", "-v=6 get nodes"),
        ("get nodes -v 2", "-v=6 get nodes"),
        ("get nodes -v=9", "get nodes -v=9"),
        ("get nodes -v=much", "-v=6 get nodes"),
        ("neat get", "neat get"),
    ],
)
def test_the_debug_log_is_on_and_what_the_user_asked_for_stays(
    look: Look, line: str, watched: str
) -> None:
    assert " ".join(look(line).watched_argv()[1:]) == watched


def test_a_plugin_is_given_no_flags_and_has_no_log(look: Look) -> None:
    assert not look("neat get").has_debug_log
    assert look("get nodes").has_debug_log


def test_another_cache_changes_the_cache_and_keeps_how_it_is_started(
    look: Look, tmp_path: Path
) -> None:
    child = Child(cgroup_procs=("/dev/null",), dies_with_us=False)
    setting = look("get nodes", child).with_cache(str(tmp_path / "other"))
    assert setting.argv[1] == f"--cache-dir={tmp_path}/other"
    assert setting.cache is not None
    assert setting.cache.root == f"{tmp_path}/other"
    assert setting.child == child


@pytest.mark.parametrize(
    "line", ["version --client", "config view", "completion bash", "help", "get --help", "options"]
)
def test_a_command_that_talks_to_no_server_needs_no_kubeconfig(look: Look, line: str) -> None:
    setting = look(line, KUBECONFIG="/no/such/file")
    assert setting.kubeconfig is None
    assert next(one.state for one in setting.looks if one.observer == "kubeconfig") == "not_asked"


def test_a_command_that_talks_to_a_server_does(look: Look) -> None:
    with pytest.raises(KubeconfigError, match="KUBECONFIG names /no/such/file"):
        look("get nodes", KUBECONFIG="/no/such/file")


def test_of_any_other_program_it_says_that_it_could_not_look(tmp_path: Path) -> None:
    other = script(tmp_path / "other")
    setting = look_at((str(other), "get"), {"PATH": os.environ["PATH"]})
    assert not setting.is_kubectl
    assert (setting.cache, setting.kubeconfig) == (None, None)
    assert {one.state for one in setting.looks} == {"could_not_look"}
    assert setting.watched_argv() == (str(other), "get")


def test_a_program_that_does_not_exist_is_told() -> None:
    with pytest.raises(CommandNotFoundError):
        look_at(("no-such-program",), {"PATH": "/nowhere"})


@pytest.mark.parametrize(
    ("line", "cold", "once", "error"),
    [
        ("get nodes", False, False, None),
        ("get nodes", True, False, None),
        ("get nodes", True, True, None),
        ("delete pod x", False, False, RefusedError),
        ("delete pod x", False, True, None),
        ("delete pod x", True, False, RefusedError),
        ("delete pod x", True, True, UsageError),
        ("get pods -w", False, False, RefusedError),
        ("neat", False, False, RefusedError),
    ],
)
def test_what_may_change_something_needs_to_be_insisted_on(
    look: Look, line: str, *, cold: bool, once: bool, error: type[Exception] | None
) -> None:
    setting = look(line)
    if error is None:
        refuse_unsafe(setting, cold=cold, once=once)
        return
    with pytest.raises(error, match=r"--once|--cold"):
        refuse_unsafe(setting, cold=cold, once=once)
