"""What the client's commands share: a client from the options, timings told, the cache settled."""

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from kubelag.cli.flags import Options
    from kubelag.cli.timings import Recorder
    from kubelag.kube.client import Client


class asking:  # noqa: N801 - used as a function; contextlib would take a millisecond to load
    """A client while it is needed; then its timings are told, and a child writes its cache.

    Args:
        args: The options of a command.
    """

    def __init__(self, args: "Options") -> None:
        from kubelag.cli.kube_options import client_of  # noqa: PLC0415 -- `--help` needs none of it

        self._recorder = _recorder(args)
        if self._recorder is not None:
            self._client = client_of(args, self._recorder)
        else:
            self._client = client_of(args)
        self._has_timings = args.timings

    def __enter__(self) -> "Client":
        return self._client

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        sys.stdout.flush()
        if self._recorder is not None and self._has_timings:
            print(self._recorder.table(time.perf_counter_ns()), file=sys.stderr)
        from kubelag.cli.behind import settle_behind  # noqa: PLC0415 -- as above

        settle_behind(self._client)


def _recorder(args: "Options") -> "Recorder | None":
    """Whoever keeps the times, if they are asked for."""
    if not (args.timings or args.verbosity):
        return None
    from kubelag.cli.timings import Recorder  # noqa: PLC0415 -- seldom asked

    return Recorder(args.verbosity, time.perf_counter_ns())
