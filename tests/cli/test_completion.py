"""Completions that the shells themselves accept."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kubelag.cli.main import COMMANDS, main


def printed(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_command_is_completed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = printed(shell, capsys)
    assert all(command.name in script for command in COMMANDS)
    assert "--cold" in script or shell == "tcsh"


@pytest.mark.real
def test_bash_takes_the_script_and_completes_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = tmp_path / "completion"
    script.write_text(printed("bash", capsys))
    ask = 'COMP_WORDS=(kubelag exp); COMP_CWORD=1; _shtab_kubelag; echo "${COMPREPLY[@]}"'
    argv = [bash, "--norc", "-c", f"source {script}; {ask}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("explain", "")


def test_a_missing_package_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert (
        capsys.readouterr().err
        == "kubelag: completions need the package shtab; pip install shtab\n"
    )


def test_an_unknown_shell_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "fish"])
    assert ended.value.code == 2
    assert "bash" in capsys.readouterr().err
