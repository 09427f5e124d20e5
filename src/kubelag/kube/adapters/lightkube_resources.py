"""lightkube's classes for custom resources, from kubectl's discovery cache.

>>> import lightkube                                                      # doctest: +SKIP
>>> from kubelag.kube import Client                                       # doctest: +SKIP
>>> from kubelag.kube.adapters.lightkube_resources import resource        # doctest: +SKIP
>>> with Client() as client:                                              # doctest: +SKIP
...     Certificate = resource(client, "certificates.cert-manager.io")
>>> list(lightkube.Client().list(Certificate, namespace="*"))             # doctest: +SKIP

lightkube has no discovery: its classes are for the resources that Kubernetes itself has, and for
those that a program names. Here they are named by what the server offers.
"""

from kubelag.kube.adapters.keeping import settle
from kubelag.kube.adapters.packages import MissingPackageError

try:
    from lightkube.core.exceptions import LoadResourceError
    from lightkube.core.resource_registry import resource_registry
    from lightkube.generic_resource import create_global_resource, create_namespaced_resource
except ImportError as error:
    raise MissingPackageError("lightkube", error) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from kubelag.kube.client import Client
    from kubelag.kube.discovery.resolve import Resource


def register(client: "Client", groups: "Collection[str] | None" = None) -> "dict[str, type[Any]]":
    """Make a class for every resource that lightkube has none for, in every version.

    From then on `get_generic_resource` and `load_all_yaml` of lightkube know them too.

    Args:
        client: Knows what the server offers; not closed.
        groups: Only these; None for all.

    Returns:
        The classes by `api_version` and kind: `example.com/v1 Thing`.

    Raises:
        TransportError: If the server had to be asked and could not be.
        ApiError: If it refused to tell.
        ValueError: If a class of that kind is registered for another resource.
    """
    offered = client.discovery.resources()
    settle(client.discovery)
    # What the core group has beyond lightkube's classes cannot be made: it takes no empty group.
    named = (one for one in offered if one.group and (groups is None or one.group in groups))
    return {
        f"{one.api_version} {one.kind}": _generic(one)
        for one in named
        if not _is_lightkubes_own(one)
    }


def resource(client: "Client", name: str) -> "type[Any]":
    """The class of one resource: lightkube's own where it has one.

    Args:
        client: Knows what the server offers; not closed.
        name: As `discovery.resolve` takes it: `deploy`, `things.example.com` and so on.

    Raises:
        UnknownResourceError: If the server has no such resource.
        TransportError: If the server had to be asked and could not be.
        ApiError: If it refused to tell.
        ValueError: If a class of that kind is registered for another resource.
    """
    found = client.discovery.resolve(name)
    settle(client.discovery)
    try:
        known: type[Any] = resource_registry.load(found.api_version, found.kind)
    except LoadResourceError:
        return _generic(found)
    return known if known._api_info.plural == found.name else _generic(found)  # noqa: SLF001 - named in their manual for classes of one's own


def _is_lightkubes_own(offered: "Resource") -> bool:
    """Whether lightkube has a class that it did not get from a program."""
    if "." in offered.group and not offered.group.endswith(".k8s.io"):
        return False  # spares the attempt to import it
    try:
        found = resource_registry.load(offered.api_version, offered.kind)
    except LoadResourceError:
        return False
    return found.__module__.startswith("lightkube.resources.")


def _generic(offered: "Resource") -> "type[Any]":
    """A class as lightkube makes it from a definition: with its default verbs, so both agree."""
    create = create_namespaced_resource if offered.is_namespaced else create_global_resource
    made: type[Any] = create(offered.group, offered.version, offered.kind, offered.name)
    return made
