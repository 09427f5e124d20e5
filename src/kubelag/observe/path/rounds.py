"""Several connections to each address, so that every backend behind a round robin is met.

Connections to one address begin one after the other, since a balancer deals them out in turn. One
that stalls does not hold up the next: a single dead backend would otherwise cost its limit at
every turn.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kubelag.model.path import AddressProbe, Backend, Certificate
from kubelag.observe.path.probing import Probe, probe_address

UNKNOWN_ROUNDS = 7
"""Connections where nobody says how many backends there are: meets each of three twice."""
MOST_ROUNDS = 21
"""Arbitrary; ten backends are more than a control plane has."""
SMALL_SEGMENT_BYTES = 1000
"""Segments for the second try where the usual ones stall. Arbitrary: with its headers such a packet
passes every tunnel that carries IPv6 (1,280 bytes, RFC 8200 section 5)."""
_OVERTAKE_S = 0.5
"""How long one connection is alone before the next begins beside it. Arbitrary: longer than a
healthy one takes, and short enough that some stalled ones fit into the time there is."""
_HOPELESS = 2
"""After so many failures and no success the rest is not tried. Arbitrary."""
_DISTRUST = "its certificate is not trusted"

Ask = Callable[[Probe], AddressProbe]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """So many connections to one address."""

    probe: Probe
    times: int


def rounds_for(backends: int) -> int:
    """How many connections meet every one of so many backends twice; 0 for an unknown number."""
    return min(MOST_ROUNDS, 2 * backends + 1) if backends else UNKNOWN_ROUNDS


def go_round(wanted: Round, ask: Ask = probe_address) -> tuple[AddressProbe, ...]:
    """The connections of one round, in the order in which they began.

    Where a certificate is not trusted, the following connections go on without trust, so that
    what the server shows and how fast it is are seen all the same; no credential is sent anyway.
    """
    running: list[Future[AddressProbe]] = []
    deadline = wanted.probe.limits.deadline_s
    times = wanted.times
    with ThreadPoolExecutor(max_workers=wanted.times, thread_name_prefix="path") as pool:
        probe = wanted.probe
        while len(running) < times and time.monotonic() < deadline:
            running.append(pool.submit(ask, probe))
            wait(running[-1:], timeout=_OVERTAKE_S)
            done = [one.result() for one in running if one.done()]
            if len(running) >= _HOPELESS and all(one.error for one in done):
                # Nothing has gone through yet: see first what becomes of these.
                wait(running)
                done = [one.result() for one in running]
            if _is_hopeless(done):
                break
            if probe.is_verified and any(one.error.startswith(_DISTRUST) for one in done):
                probe, times = replace(probe, is_verified=False), times + 1
        found = tuple(one.result() for one in running)
    return _with_distrust(found)


def go_rounds(wanted: Sequence[Round], ask: Ask = probe_address) -> tuple[AddressProbe, ...]:
    """Several rounds side by side, in their order."""
    if not wanted:
        return ()
    with ThreadPoolExecutor(max_workers=len(wanted), thread_name_prefix="path") as pool:
        found = pool.map(lambda one: go_round(one, ask), wanted)
        return tuple(probe for probes in found for probe in probes)


def has_stalled(probe: AddressProbe) -> bool:
    """Whether it connected, and then something larger than a handshake did not get through."""
    is_in_time = probe.tls_ns is not None and probe.answer_ns is not None
    return probe.connect_ns is not None and not is_in_time and " within " in probe.error


def is_trusted(probes: Sequence[AddressProbe]) -> bool:
    """Whether none of them was shown a certificate that is not trusted."""
    return not any(one.error.startswith(_DISTRUST) for one in probes)


def name_backends(
    front: Sequence[AddressProbe], behind: Sequence[AddressProbe], backends: Sequence[Backend]
) -> tuple[AddressProbe, ...]:
    """The connections to the front, each with the backend whose certificate it was shown.

    A certificate that several backends share names none of them.
    """
    names = {backend.address: backend.name for backend in backends}
    owners: dict[str, set[str]] = {}
    for probe in behind:
        if probe.certificate is not None and probe.address in names:
            owners.setdefault(probe.certificate.sha256, set()).add(names[probe.address])
    sole = {digest: next(iter(found)) for digest, found in owners.items() if len(found) == 1}
    return tuple(
        replace(probe, backend=sole.get(probe.certificate.sha256, ""))
        if probe.certificate is not None
        else probe
        for probe in front
    )


def _is_hopeless(done: Sequence[AddressProbe]) -> bool:
    failed = [one for one in done if one.error and not one.error.startswith(_DISTRUST)]
    return len(failed) >= _HOPELESS and len(failed) == len(done)


def _with_distrust(found: Sequence[AddressProbe]) -> tuple[AddressProbe, ...]:
    """Says of every connection that went on without trust that it did."""
    refused = [one.error for one in found if one.error.startswith(_DISTRUST)]
    if not refused:
        return tuple(found)
    first = next(at for at, one in enumerate(found) if one.error.startswith(_DISTRUST))
    trusted = {one.certificate.sha256 for one in found[:first] if one.certificate}
    return tuple(
        replace(one, error=_why_distrusted(one.certificate, refused[0]))
        if at > first
        and not one.error
        and one.certificate
        and one.certificate.sha256 not in trusted
        else one
        for at, one in enumerate(found)
    )


def _why_distrusted(certificate: Certificate, first: str) -> str:
    """Of a certificate that nobody verified: what its own dates say, else what was said before."""
    now = datetime.now(UTC).isoformat()
    if certificate.ends_at and certificate.ends_at < now:
        return f"{_DISTRUST}: it ended on {certificate.ends_at}"
    return first
