"""Pure: what the report says of the run's own connections and of its questions for names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kubelag.causes.contract import NOTABLE_NS
from kubelag.model.network import Connection, Lookup
from kubelag.model.path import PathMap
from kubelag.model.report import WayLine
from kubelag.model.units import counted, interval, seconds

# A healthy kernel sends one segment of a few hundred again by mistake, too early. Arbitrary.
_LOSSY_RATIO = 0.01
# So far apart, figures in one unit would show the smaller one as nothing. Arbitrary.
_FAR_APART = 100


def extent(took: Sequence[int]) -> str:
    """From the least to the most of some times in nanoseconds; one figure where they are alike."""
    least, most = min(took), max(took)
    if least * _FAR_APART < most:
        return f"{seconds(least)} to {seconds(most)}"
    return interval(least / 1e9, most / 1e9)


def run_line(
    connections: Sequence[Connection], lookups: Sequence[Lookup], path: PathMap | None
) -> Iterator[WayLine]:
    """One line, where anything crossed at all.

    Args:
        connections: To the API server, or to the proxy before it.
        lookups: Of the same run.
        path: The way, where it is known.
    """
    asked, is_told = _looked_up(lookups)
    if not connections:
        if asked:
            sentence = f"{asked[0]}, no connection to the server"
            yield WayLine(hop="this run", sentence=sentence, is_well=is_told)
        return
    sent = sum(one.sent_segments + one.received_segments for one in connections)
    again = sum(one.sent_again + one.received_again for one in connections)
    failed = [one for one in connections if not one.is_established]
    broken = list(_broken(connections, path))
    parts = [*asked, counted(len(connections), "connection")]
    parts += [f"{len(failed)} of them never came about ({_servers(failed)})"] if failed else []
    stages = _stages(connections)
    parts += [f"{name} {extent(took)}" for name, took in stages.items() if took]
    # It came to its end, and began and ended between two looks at the socket.
    unseen = [one for one in connections if one.secured_ns is not None and one.tls_ns is None]
    parts += ["TLS too short to be seen"] if unseen and not stages["TLS"] else []
    parts += [*broken, *_kernels_words_of(connections)]
    parts.append(f"{again:,} of {counted(sent, 'segment')} sent again")
    met = [one.backend or "?" for one in connections]
    parts += [f"served by {', '.join(met)}"] if any(one.backend for one in connections) else []
    is_slow = any(max(took, default=0) >= NOTABLE_NS for took in stages.values())
    is_lossy = again > _LOSSY_RATIO * sent
    is_well = is_told and not (is_lossy or failed or broken or is_slow)
    yield WayLine(hop="this run", sentence=", ".join(parts), is_well=is_well)


def _stages(connections: Sequence[Connection]) -> Mapping[str, Sequence[int]]:
    """What each took, as far as its begin and its end were seen."""
    tunnels = [(one.proxy_asked_ns, one.proxy_answered_ns) for one in connections]
    return {
        "connect": [one.connect_ns for one in connections if one.connect_ns is not None],
        "the proxy's answer": [
            end - begin for begin, end in tunnels if begin is not None and end is not None
        ],
        "TLS": [one.tls_ns for one in connections if one.tls_ns is not None],
    }


def _broken(connections: Sequence[Connection], path: PathMap | None) -> Iterator[str]:
    is_tls = path is not None and path.server.startswith("https:")
    cut = [one for one in connections if is_tls and one.hello_ns and not one.secured_ns]
    reset = [one for one in connections if one.ending == "server_reset"]
    if cut:
        yield f"{counted(len(cut), 'TLS handshake')} never finished"
    if reset:
        yield f"{len(reset)} reset from the server's side"


def _looked_up(lookups: Sequence[Lookup]) -> tuple[list[str], bool]:
    """What the run asked name servers, and whether every answer came at once."""
    if not lookups:
        return [], True
    took = [one.answered_ns - one.asked_ns for one in lookups if one.answered_ns is not None]
    silent = len(lookups) - len(took)
    told = counted(len(lookups), "DNS question")
    if took:
        # A socket that only one look found was there for less than the distance between two.
        told += f" answered in {extent(took)}" if max(took) else " answered too soon to be timed"
    if silent:
        told += f", {silent} without an answer" if took else " without an answer"
    return [told], not silent and max(took) < NOTABLE_NS


def _kernels_words_of(connections: Sequence[Connection]) -> Iterator[str]:
    trips = [one.rtt_ns for one in connections if one.rtt_ns is not None]
    smoothed = [one.rtt_smoothed_ns for one in connections if one.rtt_smoothed_ns is not None]
    windows = [one.congestion_window for one in connections if one.congestion_window]
    if trips:
        estimate = f" (smoothed {extent(smoothed)})" if smoothed else ""
        yield f"round trip {seconds(min(trips))}{estimate}"
    if windows:
        yield f"cwnd {counted(min(windows), 'segment')}"


def _servers(connections: Iterable[Connection]) -> str:
    """Where they went, each once."""
    return ", ".join(dict.fromkeys(one.server for one in connections))
