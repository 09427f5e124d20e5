"""Frozen records that cost nothing at start: dataclasses in miniature, without generated code.

`dataclasses` brings `inspect` and compiles code for every class; here that was 13 ms, more than
the whole interpreter needs to start, and a command that resolves a kind from the cache may cost
twice the interpreter's start and no more. Type checkers treat a record as a keyword-only frozen
dataclass (PEP 681). The rest of kubelag, which is not on that path, uses dataclasses.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """What `typing` has; importing it takes 3 ms."""
        return lambda decorated: decorated


class Hidden:
    """Marks a default whose field stays out of the representation, since it may be a secret."""

    __slots__ = ("default",)

    def __init__(self, default: object) -> None:
        self.default = default


def hidden(*, default: "Any") -> "Any":  # noqa: ANN401 - of any type
    """A field that `repr` leaves out."""
    return Hidden(default)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(hidden,))
class Record:
    """Base of a record: annotate its fields, give immutable defaults, make it by keywords."""

    _fields: "tuple[str, ...]" = ()
    _defaults: "dict[str, object]" = {}  # noqa: RUF012 - one for each class, never changed
    _hidden: "frozenset[str]" = frozenset()

    def __init_subclass__(cls) -> None:
        """Collect the fields, in the order of their definition."""
        own = [name for name in cls.__annotations__ if name[0] != "_"]
        given = {name: cls.__dict__[name] for name in own if name in cls.__dict__}
        concealed = {name for name, value in given.items() if isinstance(value, Hidden)}
        given |= {name: given[name].default for name in concealed}
        for name in given:
            delattr(cls, name)
        cls._fields = (*cls._fields, *own)
        cls._defaults = {**cls._defaults, **given}
        cls._hidden = cls._hidden | concealed

    def __init__(self, **values: "Any") -> None:  # noqa: ANN401 - any field
        fields = self.__dict__
        fields.update(self._defaults)
        fields.update(values)
        if len(fields) != len(self._fields) or not fields.keys() <= set(self._fields):
            self._refuse(values)

    def _refuse(self, values: "dict[str, Any]") -> None:
        missing = [name for name in self._fields if name not in self.__dict__]
        unknown = [name for name in values if name not in self._fields]
        wrong = f"lacks {missing}" if missing else f"has no field {unknown}"
        raise TypeError(f"{type(self).__name__} {wrong}")

    def but(self, **changes: "Any") -> "Self":  # noqa: ANN401 - any field
        """This record with only the named fields changed."""
        return type(self)(**{**self.__dict__, **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        shown = (
            f"{name}={self.__dict__[name]!r}" for name in self._fields if name not in self._hidden
        )
        return f"{type(self).__name__}({', '.join(shown)})"
