"""Sends the command another way to the same server; shared by the experiments on the way."""

import os
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from kubelag.errors import KubelagError
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.workshop import RelayPlan
from kubelag.kube.cache import layout
from kubelag.kube.command import without_flag
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.kube.config.rerouted_kubeconfig import (
    FOLDED_FLAGS,
    rerouted_kubeconfig,
    tls_name_of,
)
from kubelag.kube.transport.endpoint import parse_endpoint
from kubelag.kube.transport.proxy import chosen_proxy
from kubelag.model.attribution import Factor
from kubelag.model.path import AddressProbe, PathMap
from kubelag.timeline.factors import CONNECT, DNS

_SCHEMES = ("https", "http")


def path_of(situation: Situation) -> PathMap:
    """The way to the server.

    Raises:
        NotApplicableError: Where nobody has looked at it.
    """
    if situation.evidence.path is None:
        raise NotApplicableError("the way to the server was not looked at")
    return situation.evidence.path


def direct_path_of(situation: Situation) -> PathMap:
    """The way to the server, where no proxy is in it.

    Raises:
        NotApplicableError: Where one is, or nobody has looked.
    """
    path = path_of(situation)
    if path.proxy:
        raise NotApplicableError(f"the proxy {path.proxy} is in the way, and reaches it alone")
    return path


def rerouted(situation: Situation, address: str, *, keep_proxy: bool = True) -> Variant:
    """The command with another address of its server, in a private kubeconfig.

    The certificate must still have the name that it had. A proxy that was not in the way does not
    come in: the address joins NO_PROXY.

    Args:
        situation: The command as it is.
        address: `IP:port` or `[IP]:port`.
        keep_proxy: Whether a proxy that is in the way stays there.

    Raises:
        NotApplicableError: Where there is no kubeconfig that could be copied, or the copy would
            change more than the address.
    """
    config, unchanged = _copied(situation), situation.unchanged
    parts = _url(config.cluster.server)._replace(netloc=address)
    server = parts.geturl()
    _refuse_other_cache(situation, config.cluster.server, server)
    try:
        document = rerouted_kubeconfig(config, server=server, keep_proxy=keep_proxy)
        keeps_proxy = keep_proxy and _keeps_proxy(situation, config, server)
    except KubelagError as error:
        raise NotApplicableError(str(error)) from error
    argv = unchanged.argv
    for name in FOLDED_FLAGS:
        argv = without_flag(argv, name)
    env = unchanged.env if keeps_proxy else sparing(unchanged.env, parts.hostname or "")
    return unchanged.but(
        argv=argv,
        env={**env, "KUBECONFIG": str(situation.workshop.kubeconfig(document))},
        cache_server=server,
        shown=_shown(situation, server, tls_name_of(config)),
    )


def in_a_copy(situation: Situation) -> Variant:
    """The command as it is, in a private kubeconfig: what the copy itself changes.

    A kubeconfig with hundreds of contexts on a slow disk takes its time to be read.

    Raises:
        NotApplicableError: As `rerouted`.
    """
    server = _url(_copied(situation).cluster.server)
    return rerouted(situation, server.netloc).but(shown=situation.unchanged.shown)


def relayed(situation: Situation, plan: RelayPlan) -> Variant:
    """The command through a relay of ours on this machine.

    Raises:
        NotApplicableError: As `rerouted`, and where the relay cannot be started.
    """
    _copied(situation)
    port = situation.workshop.relay(plan)
    variant = rerouted(situation, f"127.0.0.1:{port}", keep_proxy=False)
    return variant.but(shown="(through kubelag's own relay on 127.0.0.1)")


def passed_by(path: PathMap) -> tuple[Factor, ...]:
    """What an address in place of the server's name takes away besides: the name, dead addresses.

    Behind a proxy it is the proxy that is looked up and dialled, as before.
    """
    return () if path.proxy else (DNS, CONNECT)


def refuse_strangers(situation: Situation) -> None:
    """Nobody is sent a credential who has not shown a certificate that the command trusts.

    Raises:
        NotApplicableError: Where the command asks for none, so that anybody at another address
            could take it.
    """
    config = situation.kubeconfig
    if config is None:
        return
    if config.cluster.insecure_skip_tls_verify or _url(config.cluster.server).scheme != "https":
        raise NotApplicableError(
            "certificates are not verified: whoever has that address would get the credential"
        )


def target_of(path: PathMap) -> str:
    """The first address of the server that has answered.

    Raises:
        NotApplicableError: Where none has.
    """
    answered = next((probe for probe in path.front if has_answered(probe)), None)
    if answered is None:
        raise NotApplicableError(f"no address of {path.host} has answered kubelag's own probes")
    return answered.address


def has_answered(probe: AddressProbe) -> bool:
    """Whether it got as far as a server that speaks TLS, or HTTP."""
    return probe.tls_ns is not None or probe.status is not None


def host_of(address: str) -> str:
    """The IP alone, from `IP:port`, `[IP]:port`, `[IP]` or `IP`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def joined(host: str, port: int) -> str:
    """`IP:port`, with brackets for IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def sparing(env: Mapping[str, str], host: str) -> dict[str, str]:
    """The environment in which no variable's proxy is used for this host.

    The variables stay, since a credential plugin may need the proxy for its own way.
    """
    spared = env.get("NO_PROXY") or env.get("no_proxy") or ""
    together = ",".join(part for part in (spared, host) if part)
    return {**env, "NO_PROXY": together, "no_proxy": together}


def unverified_context() -> ssl.SSLContext:
    """For handshakes in which nothing is said: whether there is a TLS server at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _copied(situation: Situation) -> Kubeconfig:
    """The kubeconfig of which a copy is made.

    Raises:
        NotApplicableError: Where there is none, or a copy of it would do harm.
    """
    config = situation.kubeconfig
    if config is None or not config.files:
        raise NotApplicableError("there is no kubeconfig of which a copy could name another server")
    if config.user.auth == "auth_provider":
        raise NotApplicableError(
            "the user's auth-provider writes what it renews into its kubeconfig, "
            "and in a copy that would be lost"
        )
    return config


def _keeps_proxy(situation: Situation, config: Kubeconfig, server: str) -> bool:
    """Whether a proxy is in the way, which then is in the way to this server, too.

    Raises:
        NotApplicableError: Where this one is spared it, so that two things would change.
        KubelagError: Where the proxy cannot be understood.
    """
    path = situation.evidence.path
    if path is None or not path.proxy:
        return False
    endpoint = parse_endpoint(server, "server")
    if chosen_proxy(endpoint, config.cluster.proxy_url, situation.unchanged.env) is None:
        raise NotApplicableError(
            f"NO_PROXY spares {endpoint.host}, so that the proxy would be passed by too"
        )
    return True


def _refuse_other_cache(situation: Situation, old: str, new: str) -> None:
    """A cache that cannot be written is the user's own, where each server has its own state.

    Raises:
        NotApplicableError: Where it holds something of one of these two servers.
    """
    cache = situation.evidence.cache
    if situation.unchanged.cache != "own" or cache is None or old == new:
        return
    if any(os.path.isdir(layout.host_directory(cache.root, one)) for one in (old, new)):  # noqa: PTH112 - text
        raise NotApplicableError(
            f"the cache {cache.root} cannot be written, and what it holds depends on the server"
        )


def _url(server: str) -> SplitResult:
    parts = urlsplit(server)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise NotApplicableError("the kubeconfig's server is no URL with a scheme and a host")
    return parts


def _shown(situation: Situation, server: str, tls_name: str) -> str:
    words = situation.evidence.command
    for name in ("server", "tls-server-name"):
        words = without_flag(words, name)
    program, *rest = words
    return " ".join([program, f"--server={server}", f"--tls-server-name={tls_name}", *rest])
