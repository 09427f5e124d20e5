"""A value that must never be printed, logged, pickled, copied or written to a bundle."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, NoReturn, TypeVar

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Makes `Secret[str]` mean `Secret` at run time; importing `typing` takes 3 ms."""

        __slots__ = ()

        def __class_getitem__(cls, _: object) -> type:
            return cls


class Secret(Generic[T]):
    """Holds something with a credential in it; only `reveal()` gives it away.

    It is deliberately no dataclass and no string: msgspec, json, pickle and `dataclasses.asdict`
    all refuse it, so that a secret in a saved structure is an error and not a leak.
    """

    __slots__ = ("_value",)

    def __init__(self, value: "T") -> None:
        self._value = value

    def reveal(self) -> "T":
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> "NoReturn":
        raise TypeError("a secret is never pickled, copied or serialised")
