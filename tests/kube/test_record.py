"""Records behave as frozen dataclasses do."""

import pytest

from kubelag.kube.record import Record, hidden


class Point(Record):
    """A place."""

    x: int
    y: int = 2
    secret: str = hidden(default="s")


class Named(Point):
    """A place with a name."""

    name: str


def test_fields_have_their_defaults_and_inherit() -> None:
    assert (Named(x=1, name="n").y, Named(x=1, name="n", y=3).y) == (2, 3)


def test_equal_fields_are_equal_records_of_one_class() -> None:
    assert Point(x=1) == Point(x=1, y=2)
    assert hash(Point(x=1)) == hash(Point(x=1))
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Named(x=1, name="n")


def test_a_copy_changes_only_what_is_named() -> None:
    assert Point(x=1).but(y=5) == Point(x=1, y=5)


@pytest.mark.parametrize("values", [{}, {"x": 1, "z": 2}])
def test_a_missing_or_unknown_field_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(**values)


def test_nothing_can_be_changed() -> None:
    point = Point(x=1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del point.x


def test_a_hidden_field_stays_out_of_the_representation() -> None:
    assert repr(Point(x=1)) == "Point(x=1, y=2)"
