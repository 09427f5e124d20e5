"""Fills a real API server through its own API: CRDs, namespaces, nodes, pods, custom objects."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

from kubelag.errors import LabError
from kubelag.lab.control_plane import inventory
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.client import AdminClient, wait_answer
from kubelag.lab.control_plane.inventory import CustomResource, JsonObject
from kubelag.lab.control_plane.options import ControlPlaneOptions

WRITERS = 4
"""Connections that write at once; more only queue on two cores (arbitrary)."""

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """One object to create, and its status to put where creation drops it."""

    collection: str
    item: JsonObject
    with_status: bool = False


def seed(
    url: str, certificates: Certificates, options: ControlPlaneOptions, within_s: float
) -> None:
    """Create everything that the options ask for; returns when all of it is served.

    Args:
        url: Of a server that is ready.
        certificates: Its administrator's.
        options: What the cluster looks like.
        within_s: How long the server may take to serve what it was given.

    Raises:
        LabError: The server refused something, or did not serve it in time.
    """

    def wait(is_true: Callable[[], bool], what: str) -> None:
        wait_answer(
            is_true,
            timeout_s=within_s,
            problem=f"kube-apiserver did not serve {what}",
            next_step="ask for fewer of them, or try again when the machine is less busy",
        )

    with closing(AdminClient(url, certificates)) as client:
        groups = inventory.custom_groups(options.custom_group_count(_group_versions(client)))
        resources = {
            group: inventory.custom_resources(group, options.resources_per_group)
            for group in groups
        }
        all_resources = [resource for group in groups for resource in resources[group]]
        crds = [_Write(collection=CRDS, item=_crd(resource)) for resource in all_resources]
        _write_all(url, certificates, crds)
        wait(lambda: _has_namespaces(client), "its own namespaces")
        _write_all(url, certificates, _namespaces(options))
        _write_all(url, certificates, _nodes_and_pods(options))
        wait(lambda: _serves(client, resources), "the custom resources")
        if all_resources:
            _write_all(url, certificates, _custom_objects(options, all_resources[0]))


def _group_versions(client: AdminClient) -> int:
    groups = client.request("GET", "/apis").json()["groups"]
    return 1 + sum(len(group["versions"]) for group in groups)


def _has_namespaces(client: AdminClient) -> bool:
    items = client.request("GET", "/api/v1/namespaces").json()["items"]
    names = {item["metadata"]["name"] for item in items}
    return names.issuperset(inventory.BUILTIN_NAMESPACES)


def _serves(client: AdminClient, resources: dict[str, tuple[CustomResource, ...]]) -> bool:
    """Whether discovery shows them all, which it does only for established definitions."""
    listed = {group["name"] for group in client.request("GET", "/apis").json()["groups"]}
    if not listed.issuperset(resources):
        return False
    for group, expected in resources.items():
        answer = client.request("GET", f"/apis/{group}/v1")
        if answer.status != HTTPStatus.OK:
            return False
        names = {item["name"] for item in answer.json()["resources"]}
        if not names.issuperset(resource.plural for resource in expected):
            return False
    return True


def _crd(resource: CustomResource) -> JsonObject:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "plural": resource.plural,
                "singular": resource.singular,
                "kind": resource.kind,
            },
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _namespaces(options: ControlPlaneOptions) -> Iterable[_Write]:
    for name in inventory.namespace_names(options):
        if name not in inventory.BUILTIN_NAMESPACES:
            item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            yield _Write(collection="/api/v1/namespaces", item=item)


def _nodes_and_pods(options: ControlPlaneOptions) -> Iterable[_Write]:
    for node in inventory.nodes(options):
        yield _Write(collection="/api/v1/nodes", item=node, with_status=True)
    for pod in inventory.pods(options):
        home = pod["metadata"]["namespace"]
        yield _Write(collection=f"/api/v1/namespaces/{home}/pods", item=pod, with_status=True)


def _custom_objects(options: ControlPlaneOptions, resource: CustomResource) -> Iterable[_Write]:
    collection = f"/apis/{resource.group}/{resource.version}/namespaces/default/{resource.plural}"
    for item in inventory.custom_objects(options, resource):
        yield _Write(collection=collection, item=item)


def _write_all(url: str, certificates: Certificates, writes: Iterable[_Write]) -> None:
    todo = tuple(writes)
    shares = [todo[start::WRITERS] for start in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for future in [pool.submit(_write_share, url, certificates, share) for share in shares]:
            future.result()


def _write_share(url: str, certificates: Certificates, writes: Sequence[_Write]) -> None:
    if not writes:
        return
    with closing(AdminClient(url, certificates)) as client:
        for write in writes:
            _write(client, "POST", write.collection, write.item)
            if write.with_status:
                path = f"{write.collection}/{write.item['metadata']['name']}/status"
                _write(client, "PUT", path, write.item)


def _write(client: AdminClient, method: str, path: str, item: JsonObject) -> None:
    answer = client.request(method, path, item)
    if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        message = answer.body[:300].decode(errors="replace").strip()
        raise LabError(
            f"kube-apiserver refused {method} {path} with {answer.status}: {message}",
            "use the kube-apiserver and etcd versions that belong together",
        )
