"""What the words of `get` select: types, and names of objects. Pure.

Source: cli-runtime `pkg/resource/builder.go` (`ResourceTypeOrNameArgs`).
"""

from kubelag.errors import UsageError
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Wanted(Record):
    """One type as it was typed, and the objects of it that are wanted."""

    type: str
    names: "tuple[str, ...]" = ()
    """Empty for all of them."""


def parse_words(words: "Sequence[str]") -> "tuple[Wanted, ...]":
    """What is wanted: `pods`, `pods,svc`, `pod a b`, `pod/a svc/b`.

    Raises:
        UsageError: If the two ways of writing are mixed, or a part is missing.
    """
    if not words:
        raise UsageError(
            "it is not said what to get",
            "for example: kubelag get nodes; see `kubelag api-resources`",
        )
    if any("/" in word for word in words):
        return tuple(_pair(word) for word in words)
    types = words[0].split(",")
    if not all(types):
        raise UsageError(f"{words[0]!r} has an empty type", "write types as pods,services")
    return tuple(Wanted(type=one, names=tuple(words[1:])) for one in types)


def _pair(word: str) -> Wanted:
    kind, slash, name = word.partition("/")
    if not slash:
        raise UsageError(
            f"{word!r} stands beside words of the form TYPE/NAME",
            "write every one as TYPE/NAME, or the type once and then names",
        )
    if not kind or not name or "/" in name or "," in kind:
        raise UsageError(f"{word!r} is no TYPE/NAME", "for example: pod/web-1")
    return Wanted(type=kind, names=(name,))
