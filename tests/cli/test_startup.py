"""Start-up is part of what we sell: the quick commands load nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    *("numpy", "rich", "msgspec", "psutil", "yaml", "shtab"),
    *("hypercorn", "trustme", "cryptography", "asyncio", "ssl", "multiprocessing"),
}
OWN = {"kubelag.engine", "kubelag.observe", "kubelag.report", "kubelag.lab", "kubelag.remedies"}


def loaded_by(*words: str) -> set[str]:
    """The modules that one start of the program imports, by their own and their parents' names."""
    argv = [sys.executable, "-X", "importtime", "-m", "kubelag", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = [line.rpartition("|")[2].strip() for line in lines]
    assert "kubelag.cli.main" in names, done.stderr[-500:]
    return {".".join(name.split(".")[:depth]) for name in names for depth in (1, 2)}


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("--help",),
        ("explain", "--help"),
        ("explain", "--no-such-option"),
        ("run",),
        ("run", "--help"),
        ("run", "--no-sync", "--", "kubectl", "delete", "pod"),
        ("run", "--no-sync", "--i-know", "--", "true"),
    ],
    ids=" ".join,
)
def test_a_quick_command_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    assert loaded_by(*words) & (HEAVY | OWN) == set()


def test_explaining_loads_no_lab_and_no_terminal_where_there_is_none(tmp_path: Path) -> None:
    loaded = loaded_by("explain", "--from", str(tmp_path))
    assert loaded & {"rich", "kubelag.lab", "hypercorn", "trustme", "shtab"} == set()


def test_importing_the_package_does_nothing() -> None:
    code = "import sys, kubelag; print(*(name for name in sys.modules if 'kubelag' in name))"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["kubelag"]
