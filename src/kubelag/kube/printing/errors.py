"""What cannot be printed, and why."""

from kubelag.errors import KubelagError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.printing.values import Json


class PrintingError(KubelagError):
    """An object, a table or a template that cannot be printed."""


class TableError(PrintingError):
    """The server's answer claims to be a Table and is none."""


class TemplateError(PrintingError):
    """A JSONPath template is malformed, or does not fit the object."""

    def __init__(
        self, message: str, next_step: str = "", *, so_far: "tuple[Json, ...]" = ()
    ) -> None:
        super().__init__(message, next_step)
        self.so_far = so_far
        """What had been found when it failed; an existence filter goes by that."""
