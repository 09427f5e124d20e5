"""One run of one package, as a program of a few lines would be; `adapters.py` times it.

python bench/adapter_programs.py official kubelag custom KUBECONFIG CACHE

Nothing is imported that the run does not need, so that each pays for its own imports alone. CACHE
is a directory: of kubelag's cache, and of the official client's cache file.
"""

import sys

GROUP, KIND, PLURAL = "g7.example.com", "Thing1", "things1"
UNKNOWN = "Nothing"


def official(discovery: str, task: str, kubeconfig: str, cache: str) -> None:
    """The dynamic client of `kubernetes`; `own` is the discoverer that it brings."""
    from kubernetes import config  # noqa: PLC0415 - each run its own
    from kubernetes.dynamic import DynamicClient  # noqa: PLC0415 - the same
    from kubernetes.dynamic.exceptions import ResourceNotFoundError  # noqa: PLC0415 - the same

    discoverer = None
    if discovery == "kubelag":
        from kubelag.kube import Settings  # noqa: PLC0415 - the same
        from kubelag.kube.adapters.official import kubectl_cache_discoverer  # noqa: PLC0415 - same

        discoverer = kubectl_cache_discoverer(settings=Settings(cache_dir=cache))
    api = config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call]
    client = DynamicClient(api, f"{cache}/official.json", discoverer)  # type: ignore[no-untyped-call]
    match task:
        case "nodes":
            if not client.resources.get(api_version="v1", kind="Node").get().items:
                sys.exit("there are no nodes")
        case "custom":
            client.resources.get(api_version=f"{GROUP}/v1", kind=KIND)
        case "kind":
            client.resources.get(kind="Deployment")
        case _:
            try:
                client.resources.get(kind=UNKNOWN)
            except ResourceNotFoundError:
                return
            sys.exit("it was found")


def kr8s(discovery: str, task: str, kubeconfig: str, cache: str) -> None:
    """The synchronous API of `kr8s`; `own` is its discovery."""
    import kr8s as package  # noqa: PLC0415 - each run its own

    if discovery == "kubelag":
        from kubelag.kube import Client, Settings  # noqa: PLC0415 - the same
        from kubelag.kube.adapters.kr8s_discovery import install  # noqa: PLC0415 - the same

        install(Client(kubeconfig=kubeconfig, settings=Settings(cache_dir=cache)))
    api = package.api(kubeconfig=kubeconfig)
    match task:
        case "nodes":
            if not list(api.get("nodes")):
                sys.exit("there are no nodes")
        case "custom":
            api.lookup_kind(f"{PLURAL}.{GROUP}")
        case "kind":
            api.lookup_kind("deployments")
        case _:
            try:
                api.lookup_kind(UNKNOWN)
            except ValueError:
                return
            sys.exit("it was found")


def lightkube(discovery: str, task: str, kubeconfig: str, cache: str) -> None:
    """`lightkube`; `own` is a class that the program spells out, since it has no discovery."""
    import lightkube as package  # noqa: PLC0415 - each run its own
    from lightkube.generic_resource import create_namespaced_resource  # noqa: PLC0415 - the same
    from lightkube.resources.core_v1 import Node  # noqa: PLC0415 - the same

    client = package.Client(config=package.KubeConfig.from_file(kubeconfig), namespace="default")
    if task == "nodes":
        if not list(client.list(Node)):
            sys.exit("there are no nodes")
    elif discovery == "own":
        create_namespaced_resource(GROUP, "v1", KIND, PLURAL)
    else:
        from kubelag.kube import Client, Settings  # noqa: PLC0415 - the same
        from kubelag.kube.adapters.lightkube_resources import resource  # noqa: PLC0415 - the same

        ours = Client(kubeconfig=kubeconfig, settings=Settings(cache_dir=cache))
        resource(ours, f"{PLURAL}.{GROUP}")


PROGRAMS = {"official": official, "kr8s": kr8s, "lightkube": lightkube}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:6])
