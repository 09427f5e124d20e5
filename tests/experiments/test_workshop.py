"""Kubeconfigs with credentials: private, in memory, and gone whatever happened."""

import os

import pytest

from kubelag.experiments import workshop as workshop_module
from kubelag.experiments.contract import NotApplicableError
from kubelag.experiments.private_place import own_prefix
from kubelag.experiments.workshop import Workshop
from kubelag.kube.secret import Secret
from kubelag.observe.mounts import is_in_memory


def test_only_we_can_read_it_and_it_never_touches_a_disk() -> None:
    with Workshop() as workshop:
        path = workshop.kubeconfig(Secret(b"planted"))
        assert path.read_bytes() == b"planted"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.parent.name.startswith(own_prefix())
        assert is_in_memory(path)


@pytest.mark.parametrize("end", [None, KeyboardInterrupt, RuntimeError])
def test_it_is_gone_whatever_happened(end: type[BaseException] | None) -> None:
    try:
        with Workshop() as workshop:
            made = [workshop.kubeconfig(Secret(b"a")), workshop.kubeconfig(Secret(b"b"))]
            if end:
                raise end
    except (KeyboardInterrupt, RuntimeError):
        assert end is not None
    assert len({path.parent for path in made}) == 2
    assert not any(path.parent.exists() for path in made)


def test_without_memory_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop_module, "memory_place", lambda: None)
    with Workshop() as workshop, pytest.raises(NotApplicableError, match="no tmpfs"):
        workshop.kubeconfig(Secret(b"planted"))


def test_one_umask_is_as_good_as_another() -> None:
    before = os.umask(0)
    try:
        with Workshop() as workshop:
            assert workshop.kubeconfig(Secret(b"")).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
