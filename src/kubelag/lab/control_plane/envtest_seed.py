"""Fills a real API server through its own API: CRDs, namespaces, nodes, pods, custom objects."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

from kubelag.errors import LabError
from kubelag.lab.control_plane import inventory
from kubelag.lab.control_plane.client import AdminClient, wait_answer
from kubelag.lab.control_plane.identity import READING_VERBS
from kubelag.lab.control_plane.inventory import CustomResource, JsonObject
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.control_plane.tokens import READER_GROUP, READER_USER

WRITERS = 4
"""Connections that write at once; more only queue on two cores (arbitrary)."""

OpenClient = Callable[[], AdminClient]
"""Opens a connection of its own; the caller closes it."""
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """One object to create, and its status to put where creation drops it."""

    collection: str
    item: JsonObject
    with_status: bool = False


def seed(open_client: OpenClient, options: ControlPlaneOptions, within_s: float) -> tuple[str, ...]:
    """Create everything that the options ask for; returns when all of it is served.

    Args:
        open_client: Connects to a server that is ready.
        options: What the cluster looks like.
        within_s: How long the server may take to serve what it was given.

    Returns:
        The custom groups.

    Raises:
        LabError: The server refused something, or did not serve it in time.
    """
    with closing(open_client()) as client:
        groups = inventory.custom_groups(options.custom_group_count(_group_versions(client)))
        resources = _resources(groups, options)
        crds = [_Write(collection=CRDS, item=_crd(resource)) for resource in resources]
        _write_all(open_client, (*crds, *_rights()))
        _wait(lambda: _has_namespaces(client), "its own namespaces", within_s)
        _write_all(open_client, _namespaces(options))
        _write_all(open_client, _nodes_and_pods(options))
    wait_served(open_client, groups, options, within_s)
    if resources:
        _write_all(open_client, _custom_objects(options, resources[0]))
    return groups


def wait_served(
    open_client: OpenClient,
    groups: Sequence[str],
    options: ControlPlaneOptions,
    within_s: float,
) -> None:
    """Wait until a server knows the custom resources and the reader's rights.

    Each server of a cluster learns of what another one was told in its own time.

    Args:
        open_client: Connects to the server.
        groups: The custom groups.
        options: What the cluster looks like.
        within_s: How long it may take.

    Raises:
        LabError: It did not serve them in time.
    """
    resources = _resources(groups, options)
    with closing(open_client()) as client:
        _wait(lambda: _serves(client, groups, resources), "the custom resources", within_s)
        _wait(lambda: _lets_read(client), "the reader's rights", within_s)


def _wait(is_true: Callable[[], bool], what: str, within_s: float) -> None:
    wait_answer(
        is_true,
        timeout_s=within_s,
        problem=f"kube-apiserver did not serve {what}",
        next_step="ask for fewer of them, or try again when the machine is less busy",
    )


def _resources(groups: Sequence[str], options: ControlPlaneOptions) -> tuple[CustomResource, ...]:
    return tuple(
        resource
        for group in groups
        for resource in inventory.custom_resources(group, options.resources_per_group)
    )


def _group_versions(client: AdminClient) -> int:
    groups = client.request("GET", "/apis").json()["groups"]
    return 1 + sum(len(group["versions"]) for group in groups)


def _has_namespaces(client: AdminClient) -> bool:
    items = client.request("GET", "/api/v1/namespaces").json()["items"]
    names = {item["metadata"]["name"] for item in items}
    return names.issuperset(inventory.BUILTIN_NAMESPACES)


def _serves(
    client: AdminClient, groups: Sequence[str], resources: Sequence[CustomResource]
) -> bool:
    """Whether discovery shows them all, which it does only for established definitions."""
    listed = {group["name"] for group in client.request("GET", "/apis").json()["groups"]}
    if resources and not listed.issuperset(groups):
        return False
    for group in {resource.group for resource in resources}:
        expected = (resource.plural for resource in resources if resource.group == group)
        answer = client.request("GET", f"/apis/{group}/v1")
        if answer.status != HTTPStatus.OK:
            return False
        names = {item["name"] for item in answer.json()["resources"]}
        if not names.issuperset(expected):
            return False
    return True


def _rights() -> Iterable[_Write]:
    """What lets the readers read, as the embedded server lets them."""
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": list(READING_VERBS)}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": READER_GROUP}}
    yield _Write(
        collection=f"{RBAC}/clusterroles", item=head | {"kind": "ClusterRole", "rules": [rule]}
    )
    yield _Write(
        collection=f"{RBAC}/clusterrolebindings",
        item=head
        | {
            "kind": "ClusterRoleBinding",
            "subjects": [
                {
                    "kind": "Group",
                    "name": READER_GROUP,
                    "apiGroup": "rbac.authorization.k8s.io",
                }
            ],
            "roleRef": {
                "kind": "ClusterRole",
                "name": READER_GROUP,
                "apiGroup": "rbac.authorization.k8s.io",
            },
        },
    )


def _lets_read(client: AdminClient) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": READER_USER,
            "groups": [READER_GROUP],
            "resourceAttributes": {"verb": "list", "resource": "nodes"},
        },
    }
    answer = client.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return answer.status == HTTPStatus.CREATED and bool(answer.json()["status"]["allowed"])


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


def _write_all(open_client: OpenClient, writes: Iterable[_Write]) -> None:
    todo = tuple(writes)
    shares = [todo[start::WRITERS] for start in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for future in [pool.submit(_write_share, open_client, share) for share in shares]:
            future.result()


def _write_share(open_client: OpenClient, writes: Sequence[_Write]) -> None:
    if not writes:
        return
    with closing(open_client()) as client:
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
