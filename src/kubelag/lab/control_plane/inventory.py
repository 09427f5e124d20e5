"""What is in the lab's cluster: the same names whichever server holds them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kubelag.lab.control_plane.options import ControlPlaneOptions, Member

BUILTIN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomResource:
    """One resource that the lab adds to the API."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str


def custom_groups(count: int) -> tuple[str, ...]:
    """Names of the custom groups."""
    return tuple(f"g{number}.example.com" for number in range(count))


def custom_resources(group: str, count: int) -> tuple[CustomResource, ...]:
    """The resources of one custom group."""
    return tuple(
        CustomResource(
            group=group,
            version="v1",
            plural=f"things{number}",
            singular=f"thing{number}",
            kind=f"Thing{number}",
        )
        for number in range(count)
    )


def namespace_names(options: ControlPlaneOptions) -> tuple[str, ...]:
    """Every namespace, those that the server makes by itself first."""
    return BUILTIN_NAMESPACES + tuple(f"app{number + 1}" for number in range(options.namespaces))


def nodes(options: ControlPlaneOptions) -> Iterator[JsonObject]:
    """The nodes: the first is a master, all are Ready."""
    for number in range(1, options.nodes + 1):
        role = "master" if number == 1 else "worker"
        yield {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {
                "name": f"node{number}",
                "labels": {
                    "kubernetes.io/hostname": f"node{number}",
                    f"node-role.kubernetes.io/{role}": "",
                },
            },
            "spec": {},
            "status": _node_status(number),
        }


def _node_status(number: int) -> JsonObject:
    return {
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "lastHeartbeatTime": None,
                "lastTransitionTime": None,
                "reason": "KubeletReady",
                "message": "kubelet is posting ready status",
            }
        ],
        "addresses": [
            # TEST-NET-2 of RFC 5737: an address that nobody has
            {"type": "InternalIP", "address": f"198.51.100.{number % 256}"},
            {"type": "Hostname", "address": f"node{number}"},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": "5.10.0",
            "osImage": "Debian GNU/Linux 12 (bookworm)",
            "containerRuntimeVersion": "containerd://1.4.3",
            "kubeletVersion": "v1.20.2",
            "kubeProxyVersion": "v1.20.2",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    }


def pods(options: ControlPlaneOptions) -> Iterator[JsonObject]:
    """The pods, dealt in turn to namespaces and nodes."""
    homes = tuple(name for name in namespace_names(options) if not name.startswith("kube-n"))
    homes = tuple(name for name in homes if name != "kube-public")
    for number in range(1, options.pods + 1):
        node = f"node{(number - 1) % options.nodes + 1}" if options.nodes else ""
        yield {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "name": f"pod{number}",
                "namespace": homes[(number - 1) % len(homes)],
                "labels": {"app": f"app{(number - 1) % 4 + 1}"},
            },
            "spec": {
                "containers": [{"name": "main", "image": "registry.example.com/main:1"}],
                **({"nodeName": node} if node else {}),
            },
            "status": _pod_status(number),
        }


def _pod_status(number: int) -> JsonObject:
    address = f"203.0.113.{number % 256}"  # TEST-NET-3 of RFC 5737
    return {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
        ],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": [
            {
                "name": "main",
                "state": {"running": {"startedAt": None}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": "registry.example.com/main:1",
                "imageID": "",
            }
        ],
        "qosClass": "BestEffort",
    }


def custom_objects(options: ControlPlaneOptions, resource: CustomResource) -> Iterator[JsonObject]:
    """The objects of the one custom resource that is not empty."""
    for number in range(1, options.custom_objects + 1):
        yield {
            "apiVersion": f"{resource.group}/{resource.version}",
            "kind": resource.kind,
            "metadata": {"name": f"{resource.singular}-{number}", "namespace": "default"},
            "spec": {"number": number},
        }


def kubernetes_endpoints(members: Sequence[Member]) -> JsonObject:
    """Where the service `kubernetes` leads to: every API server, those of one port together."""
    ports = sorted({member.port for member in members})
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address} for address in _addresses(members, port)],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
            for port in ports
        ],
    }


def kubernetes_slices(members: Sequence[Member]) -> Iterator[JsonObject]:
    """The same as slices: one for each port, the first of which has the service's own name."""
    for number, port in enumerate(sorted({member.port for member in members})):
        addresses = _addresses(members, port)
        yield {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1beta1",
            "metadata": {
                "name": f"kubernetes-{number}" if number else "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv6" if ":" in addresses[0] else "IPv4",
            "endpoints": [
                {"addresses": [address], "conditions": {"ready": True}} for address in addresses
            ],
            "ports": [{"name": "https", "protocol": "TCP", "port": port}],
        }


def _addresses(members: Sequence[Member], port: int) -> list[str]:
    return sorted(member.address for member in members if member.port == port)
