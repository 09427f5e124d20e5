"""Remedies that only say what to type, and the catalogue."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.errors import RefusedError, RemedyError, UsageError
from kubelag.model.evidence import CacheDirectory, Client, Evidence, Machine, Run
from kubelag.remedies import catalogue, upgrade_client
from kubelag.remedies.contract import Context, Remedy
from kubelag.remedies.runner import run_step
from kubelag.remedies.upgrade_client import Package, upgrade_commands


def evidence(*command: str, cache: CacheDirectory | None = None) -> Evidence:
    return Evidence(
        command=command,
        cold=False,
        repeatable=True,
        repeatable_why="get only reads",
        run=Run(start_ns=0, end_ns=1, exit_code=0),
        machine=Machine(hostname="h", kernel="k", os="o", processors=1, is_root=False),
        client=Client(name="kubectl", path="/k", real_path="/k", kind="kubectl", version="1.20.2"),
        cache=cache,
        looks=(),
    )


@pytest.fixture
def kubectl_on_path(tmp_path: Path, context: Context) -> Context:
    """A machine whose kubectl says that it is 1.20.2."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        """#!/bin/sh\necho '{"clientVersion": {"gitVersion": "v1.20.2"}}'\n""",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return replace(context, env={**context.env, "PATH": path})


@pytest.mark.parametrize("entry", catalogue.BUILT_IN, ids=lambda entry: entry.id)
def test_every_built_in_remedy_stands_by_its_id_and_has_commands(
    entry: catalogue.Entry, context: Context
) -> None:
    remedy = catalogue.find_remedy(entry.id)
    assert remedy.id == entry.id
    assert remedy.causes
    assert remedy.status(context).remedy == entry.id
    advice = catalogue.advise(entry.id, evidence("kubectl", "get", "nodes"))
    assert advice.id == entry.id
    assert advice.commands
    assert bool(advice.undo) == remedy.is_automatic


def test_advice_repeats_the_cache_that_the_command_named() -> None:
    advice = catalogue.advise(
        "cache-in-memory", evidence("kubectl", "--cache-dir=/a b", "get", "nodes")
    )
    assert advice.commands[-1] == "kubelag fix apply cache-in-memory --cache-dir '/a b'"
    assert advice.undo == "kubelag fix undo cache-in-memory --cache-dir '/a b'"


def test_advice_for_a_dangling_link_is_its_repair() -> None:
    cache = CacheDirectory(root="/h/.kube/cache", rule="HOME", state="dangling_link")
    advice = catalogue.advise("writable-cache", evidence("kubectl", "get", "po", cache=cache))
    assert advice.commands == ("kubelag fix apply repair-cache-link",)


def test_advice_for_an_old_client_does_not_name_what_it_does_not_read() -> None:
    cache = CacheDirectory(root="/h/.kube/cache", rule="HOME", state="unwritable")
    advice = catalogue.advise("writable-cache", evidence("kubectl", "get", "po", cache=cache))
    assert advice.commands == ('sudo chown -R "$(id -u):$(id -g)" /h/.kube/cache',)


def test_an_unknown_remedy_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="there are: cache-in-memory, "):
        catalogue.find_remedy("magic")


def test_upgrade_refuses_to_install_and_says_what_to_type(kubectl_on_path: Context) -> None:
    remedy = upgrade_client.remedy()
    status = remedy.status(kubectl_on_path)
    assert status.state == "not_applied"
    assert "is 1.20.2; the fix came with 1.25.0" in status.detail
    with pytest.raises(RefusedError, match=r"dl\.k8s\.io"):
        remedy.apply(kubectl_on_path)


@pytest.mark.parametrize(
    ("path", "package", "expected"),
    [
        ("/usr/bin/kubectl", Package("kubectl", "1.36.4-1.1"), "apt-get install --only-upgrade"),
        ("/usr/bin/kubectl", Package("kubernetes-client", "1.20.5+really1.20.2-1.1"), "dl.k8s.io"),
        ("/usr/bin/kubectl", Package("kubernetes-client", ""), "dl.k8s.io"),
        ("/usr/lib/google-cloud-sdk/bin/kubectl", Package("kubectl", "1:528.0.0-0"), "apt-get"),
        ("/home/u/google-cloud-sdk/bin/kubectl", None, "gcloud components update"),
        ("/snap/kubectl/1/kubectl", None, "snap refresh"),
        ("/home/u/.asdf/shims/kubectl", None, "asdf install kubectl latest"),
        ("/home/u/.local/share/mise/installs/kubectl/1.20/kubectl", None, "mise use"),
        ("/opt/bin/kubectl", None, "sha256sum --check"),
    ],
)
def test_the_way_to_upgrade_follows_from_where_the_program_came(
    path: str, package: Package | None, expected: str
) -> None:
    assert expected in " && ".join(upgrade_commands(path, package))


def test_debians_own_package_is_named_as_still_old() -> None:
    (note,) = upgrade_client._about(Package("kubernetes-client", "1.20.5+really1.20.2-1.1"))
    assert "apt offers kubernetes-client 1.20.2, without the fix" in note


def test_a_crash_of_a_third_partys_remedy_is_one_sentence(context: Context) -> None:
    remedy: Remedy = upgrade_client.remedy()

    def crash(_context: Context) -> None:
        raise ZeroDivisionError("surprise")

    with pytest.raises(RemedyError, match="upgrade-client failed: ZeroDivisionError: surprise"):
        run_step(remedy, crash, context)
