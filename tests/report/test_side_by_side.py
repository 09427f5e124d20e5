"""The comparison of machines on wide and on narrow paper."""

from kubelag.model.side_by_side import FactorDifference, Machine, SideBySide, TraitDifference
from kubelag.report.layout import lay_out
from kubelag.report.side_by_side import document

NAMES = ("master1", "master2", "master3")
COMPARED = SideBySide(
    kubelag_version="0",
    machines=tuple(
        Machine(
            name=name, bundle=f"/tmp/{name}", command=("kubectl", "get", "nodes"),
            wall_s=1.0, verdict=None, cause="",
        )
        for name in NAMES
    ),
    outlier="",
    headline="All are alike: 1.00 s",
    factors=(
        FactorDifference(
            factor="cache_fsync", title="syncing cache entries to disk",
            seconds=(0.0, 0.0, 9.62), cost_s=9.62,
        ),
    ),
    traits=(
        TraitDifference(trait="client", values=("kubectl 1.20.2", "kubectl 1.33.1", "oc 4.9"),
                        cost_s=0.0),
    ),
    warnings=(),
)  # fmt: skip


def lines(columns: int) -> list[str]:
    laid_out = lay_out(document(COMPARED, columns), columns, hyperlinks=False)
    return ["".join(span.text for span in line).rstrip() for line in laid_out]


def test_a_table_that_fits_is_a_table() -> None:
    assert "  syncing cache entries to disk  +9.62 s   0 ms     0 ms     9.62 s" in lines(80)


def test_on_narrow_paper_the_machines_stand_below_what_differs() -> None:
    told = lines(40)
    assert max(map(len, told)) <= 40
    at = told.index("  syncing cache entries to disk: +9.62 s")
    assert told[at + 1 : at + 4] == [
        "    master1  0 ms",
        "    master2  0 ms",
        "    master3  9.62 s",
    ]
    at = told.index("  client")
    assert told[at + 3] == "    master3  oc 4.9"
