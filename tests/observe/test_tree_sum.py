"""A process tree's counters are added up with every process once."""

from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.tree_sum import Node, Usage, tree_usage


def node(pid: int, parent: int | None, own: int, reaped: int = 0, *, alive: bool = True) -> Node:
    return Node(
        pid=pid,
        parent_pid=parent,
        own=Usage(cpu_ns=own),
        reaped=Usage(cpu_ns=reaped),
        is_alive=alive,
    )


def total(*nodes: Node) -> int:
    return tree_usage({one.pid: one for one in nodes}).cpu_ns


def test_living_children_count_by_themselves() -> None:
    assert total(node(1, None, 10), node(2, 1, 5)) == 15


def test_a_child_that_was_waited_for_counts_through_its_parent_alone() -> None:
    assert total(node(1, None, 10, reaped=5), node(2, 1, 5, alive=False)) == 15


def test_a_child_too_short_to_be_seen_counts_through_its_parent() -> None:
    assert total(node(1, None, 10, reaped=7)) == 17


def test_a_child_that_nobody_waited_for_counts_as_last_seen() -> None:
    assert total(node(1, None, 10), node(2, 1, 5, alive=False)) == 15


def test_grandchildren_arrive_with_the_child_that_waited_for_them() -> None:
    nodes = (
        node(1, None, 10, reaped=9),
        node(2, 1, 5, reaped=4, alive=False),
        node(3, 2, 4, alive=False),
    )
    assert total(*nodes) == 19


def test_an_orphan_whose_parent_was_never_seen_is_a_root() -> None:
    assert total(node(1, None, 10), node(3, 2, 4)) == 14


@given(
    parents=st.lists(st.integers(0, 20), max_size=20),
    used=st.lists(st.integers(0, 1000), min_size=21, max_size=21),
    dead=st.sets(st.integers(1, 20)),
)
def test_the_total_is_the_same_however_many_have_been_waited_for(
    parents: list[int], used: list[int], dead: set[int]
) -> None:
    """Every process counts exactly once, whether alive or waited for with all below it."""
    parent_of = {pid: parents[pid - 1] % pid for pid in range(1, len(parents) + 1)}
    gone: set[int] = set()
    for pid, up in parent_of.items():
        if pid in dead or up in gone:
            gone.add(pid)

    def below(pid: int) -> int:
        return used[pid] + reaped(pid)

    def reaped(pid: int) -> int:
        return sum(below(one) for one, up in parent_of.items() if up == pid and one in gone)

    nodes = [node(0, None, used[0], reaped(0))]
    nodes += [
        node(pid, up, used[pid], reaped(pid), alive=pid not in gone)
        for pid, up in parent_of.items()
    ]
    assert total(*nodes) == sum(used[: len(parents) + 1])
