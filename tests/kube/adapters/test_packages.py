"""A package that is not installed is one sentence, and nothing of kubelag imports one unasked."""

import subprocess
import sys

import pytest

ADAPTERS = {
    "official": "kubernetes",
    "kr8s_discovery": "kr8s",
    "lightkube_resources": "lightkube",
}


@pytest.mark.parametrize(("adapter", "package"), ADAPTERS.items())
def test_a_missing_package_is_one_sentence(adapter: str, package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from kubelag.errors import KubelagError\n"
        f"try:\n import kubelag.kube.adapters.{adapter}\n"
        "except ImportError as error:\n assert isinstance(error, KubelagError); print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"needs the package {package}, " in done.stdout
    assert done.stdout.count("\n") == 1


def test_seeds_and_the_client_import_none_of_them() -> None:
    code = (
        "import sys, kubelag.kube.adapters.seeds, kubelag.kube.client\n"
        f"print([name for name in {sorted(ADAPTERS.values())} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
