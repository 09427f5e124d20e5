"""Only what is known to change nothing is run again."""

import pytest

from kubelag.kube.repeatable import classify, is_builtin


@pytest.mark.parametrize(
    "line",
    [
        "kubectl get nodes",
        "kubectl get pods -A -owide",
        "kubectl get pods -o wide -l app=web",
        "kubectl get -f pod.yaml",
        "kubectl get --raw /livez",
        "kubectl describe node a",
        "kubectl logs web",
        "kubectl logs web -p -c main",
        "kubectl events",
        "kubectl top nodes",
        "kubectl api-resources",
        "kubectl version",
        "kubectl explain pod",
        "kubectl cluster-info",
        "kubectl cluster-info dump",
        "kubectl config view",
        "kubectl config get-contexts",
        "kubectl auth can-i get pods",
        "kubectl rollout history deploy/web",
        "kubectl rollout status deploy/web --watch=false",
        "kubectl plugin list",
        "kubectl get pods --watch=false",
        "kubectl --help",
    ],
)
def test_a_reading_command_is_repeatable(line: str) -> None:
    assert classify(line.split(), "kubectl").is_repeatable


@pytest.mark.parametrize(
    "line",
    [
        "kubectl delete pod a",
        "kubectl apply -f a.yaml",
        "kubectl create ns a",
        "kubectl get pods -w",
        "kubectl get pods -Aw",
        "kubectl get pods --watch",
        "kubectl get pods --watch-only=true",
        "kubectl events --watch",
        "kubectl logs -f web",
        "kubectl logs web --follow",
        "kubectl get -f -",
        "kubectl get --raw /api/v1/pods?watch=true",
        "kubectl cluster-info dump --output-directory=/tmp/x",
        "kubectl config use-context a",
        "kubectl config set-context view",
        "kubectl -n config config use-context view",
        "kubectl auth reconcile -f a.yaml",
        "kubectl rollout status deploy/web",
        "kubectl rollout restart deploy/web",
        "kubectl wait --for=delete pod/a",
        "kubectl diff -f a.yaml",
        "kubectl exec web -- get",
        "kubectl lag get nodes",
        "kubectl get nodes --profile=cpu",
        "kubectl -A get pods",
        "kubectl",
    ],
)
def test_anything_else_is_not(line: str) -> None:
    answer = classify(line.split(), "kubectl")
    assert not answer.is_repeatable
    assert answer.why


def test_a_program_that_is_not_kubectl_is_never_repeated() -> None:
    assert not classify(["helm", "get", "all"], "unknown").is_repeatable


def test_a_plugin_is_told_from_kubectls_own_verbs() -> None:
    assert is_builtin(["kubectl", "delete", "pod", "a"])
    assert not is_builtin(["kubectl", "lag", "get", "nodes"])
