"""Aligned columns: what `github.com/liggitt/tabwriter` does for kubectl.

Its settings there (`k8s.io/cli-runtime/pkg/printers/tabwriter.go`): columns at least 6 wide,
3 spaces between them, widths remembered over flushes, one cell for each code point. A column is
a run of neighbouring lines that have a tab behind that cell; the last cell of a line belongs to
none, is not padded, and does not widen anything.
"""

_MIN_WIDTH = 6
_PADDING = 3


class Columns:
    """Takes lines with tabs, gives them back aligned."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = []
        self._widest: list[int] = []
        """Of each column, over all flushes so far."""
        self._done: list[str] = []

    def write(self, text: str) -> None:
        """Add one line, or several where a cell has a line break in it; no newline at the end.

        A form feed is a line break that ends all columns.
        """
        blocks = text.replace("\v", "\t").split("\f")
        for block in blocks[:-1]:
            self._add(block)
            self.flush()
        self._add(blocks[-1])

    def _add(self, block: str) -> None:
        self._lines += [line.split("\t") for line in block.split("\n")]

    def flush(self) -> None:
        """Align what was written; its widths stay the least for what follows."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        lengths = {len(line) for line in lines}
        if len(lengths) == 1:
            self._done.append(self._align_even(lines, lengths.pop()))
        else:
            self._done += self._align_ragged(lines)

    def text(self) -> str:
        """All of it, aligned."""
        self.flush()
        return "".join(self._done)

    def _align_even(self, lines: list[list[str]], count: int) -> str:
        """The usual case, all lines having the same number of cells, and the fast one."""
        columns = list(zip(*lines, strict=True))[:-1]
        widths = [self._widen(at, max(map(len, cells))) for at, cells in enumerate(columns)]
        template = "".join(f"%-{width}s" for width in widths[: count - 1]) + "%s\n"
        return "".join([template % tuple(line) for line in lines])

    def _align_ragged(self, lines: list[list[str]]) -> "list[str]":
        padded = [line[:] for line in lines]
        for column in range(max(map(len, lines)) - 1):
            for run in _runs(lines, column):
                width = self._widen(column, max(len(lines[at][column]) for at in run))
                for at in run:
                    padded[at][column] = lines[at][column].ljust(width)
        return ["".join(line) + "\n" for line in padded]

    def _widen(self, column: int, width: int) -> int:
        if column == len(self._widest):
            self._widest.append(_MIN_WIDTH)
        self._widest[column] = max(self._widest[column], width + _PADDING)
        return self._widest[column]


def _runs(lines: list[list[str]], column: int) -> "list[range]":
    """Where neighbouring lines have a cell in that column that is not their last."""
    runs: list[range] = []
    start = None
    for at, line in enumerate([*lines, []]):
        has_column = len(line) > column + 1
        if has_column and start is None:
            start = at
        elif not has_column and start is not None:
            runs.append(range(start, at))
            start = None
    return runs
