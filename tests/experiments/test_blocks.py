"""What finished blocks say: only runs that did the same are compared."""

import pytest

from evidence import MS
from kubelag.experiments.blocks import Block, Treated, measured
from kubelag.experiments.contract import Treatment
from kubelag.experiments.timing import Timed
from pretended_trial import UNCHANGED

ARM = Treated(id="a", title="without a", kind="a", treatment=Treatment(variant=UNCHANGED))
GONE = "Unable to connect to the server: #"

Run = tuple[int, str]


def blocks(ours: tuple[Run, ...], theirs: tuple[Run, ...]) -> list[Block]:
    """Each run by its exit code and its complaint; the arm is always quicker."""
    return [
        Block(
            control="unchanged",
            runs={
                "unchanged": Timed(wall_ns=900 * MS, exit_code=one[0], complaint=one[1]),
                "a": Timed(wall_ns=100 * MS, exit_code=other[0], complaint=other[1]),
            },
        )
        for one, other in zip(ours, theirs, strict=True)
    ]


WELL, NOT_FOUND, REFUSED, TIMED_OUT = (
    (0, ""),
    (1, "Error from server (NotFound): nodes # not found"),
    (1, f"{GONE}: connect: connection refused"),
    (1, f"{GONE}: i/o timeout"),
)


@pytest.mark.parametrize(
    ("is_healthy", "ours", "theirs", "why"),
    [
        (True, (WELL, WELL), (WELL, WELL), ""),
        (True, (WELL, WELL), (WELL, REFUSED), "it ended with exit code [0, 1]"),
        (True, (REFUSED, REFUSED), (REFUSED, REFUSED), "the command failed meanwhile"),
        (True, (TIMED_OUT, TIMED_OUT), (WELL, WELL), "it ended with exit code [0]"),
        (True, (WELL, TIMED_OUT), (WELL, WELL), "it ended with exit code [0]"),
        (False, (NOT_FOUND, NOT_FOUND), (NOT_FOUND, NOT_FOUND), ""),
        (False, (TIMED_OUT, TIMED_OUT), (REFUSED, REFUSED), "not with the same message"),
        (False, (TIMED_OUT, TIMED_OUT), (WELL, WELL), ""),
        (False, (WELL, TIMED_OUT), (WELL, TIMED_OUT), "now so and now so"),
        (False, (WELL, WELL), (WELL, WELL), ""),
    ],
)
def test_a_difference_between_different_ends_is_no_saving(
    is_healthy: bool, ours: tuple[Run, ...], theirs: tuple[Run, ...], why: str
) -> None:
    experiment = measured(blocks(ours, theirs), ARM, is_healthy=is_healthy)
    assert experiment.outcome == ("failed" if why else "measured")
    assert (experiment.estimate is None) == bool(why)
    if why:
        assert why in experiment.why


def test_a_command_that_works_again_on_another_way_is_cured() -> None:
    experiment = measured(blocks((TIMED_OUT,) * 2, (WELL,) * 2), ARM, is_healthy=False)
    assert experiment.why == "the unchanged command fails, and this one succeeds"


def test_one_block_is_too_few() -> None:
    experiment = measured(blocks((WELL,), (WELL,)), ARM, is_healthy=True)
    assert (experiment.outcome, experiment.why) == ("out_of_budget", "too few runs")
