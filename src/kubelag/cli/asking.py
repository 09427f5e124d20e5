"""What the client's commands share: a client from the options, timings told, the cache settled."""

import sys
import time

from kubelag.errors import KubelagError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from kubelag.cli.flags import Options
    from kubelag.cli.patience import Patience
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
        self._patience = None if self._recorder is not None else _patience()
        self._has_timings = args.timings
        self._client = client_of(args, self._recorder or self._patience)

    def __enter__(self) -> "Client":
        return self._client

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if self._patience is not None:
            self._patience.clear()
        if self._recorder is not None:
            self._recorder.clear()
            if self._has_timings:
                print(self._recorder.table(time.perf_counter_ns()), file=sys.stderr)
        if isinstance(error, KubelagError | None):
            from kubelag.cli.behind import settle_behind  # noqa: PLC0415 -- as above

            sys.stdout.flush()
            settle_behind(self._client)
        else:  # Ctrl-C, or a bug: nothing goes on behind anybody's back
            self._client.forget_connections()


def _recorder(args: "Options") -> "Recorder | None":
    """Whoever keeps the times, if they are asked for."""
    if not (args.timings or args.verbosity):
        return None
    from kubelag.cli.timings import Recorder  # noqa: PLC0415 -- seldom asked

    return Recorder(args.verbosity, time.perf_counter_ns())


def _patience() -> "Patience | None":
    """Whoever tells a person what is waited for, if there is one."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from kubelag.cli.patience import Patience  # noqa: PLC0415 -- only where somebody looks

    return Patience()
