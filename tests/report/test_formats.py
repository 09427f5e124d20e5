import io
import sys
from importlib.metadata import EntryPoint
from subprocess import run

import pytest

from kubelag.errors import UsageError
from kubelag.model.report import Report
from kubelag.report import formats, json_format

FOREIGN = EntryPoint("reversed", "string:capwords", formats.GROUP)
BROKEN = EntryPoint("broken", "no_such_module_anywhere:write", formats.GROUP)
THIEF = EntryPoint("json", "string:capwords", formats.GROUP)


@pytest.fixture
def _foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = {formats.GROUP: (FOREIGN, BROKEN, THIEF)}
    monkeypatch.setattr(formats, "entry_points", lambda group: offered[group])


@pytest.mark.parametrize("name", [one.name for one in formats.FORMATS])
def test_every_format_writes_every_report(sample: Report, name: str) -> None:
    stream = io.StringIO()
    formats.writer(name)(sample, stream)
    assert stream.getvalue().endswith("\n")


def test_an_unknown_format_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="use one of terminal, plain, json"):
        formats.writer("xml")


@pytest.mark.usefixtures("_foreign")
def test_third_parties_add_formats_and_cannot_take_ours() -> None:
    assert formats.names() == ("terminal", "plain", "json", "broken", "reversed")
    assert formats.writer("reversed") is FOREIGN.load()
    assert formats.writer("json") is json_format.write


@pytest.mark.usefixtures("_foreign")
def test_a_third_party_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(UsageError, match="'broken'"):
        formats.writer("broken")


def test_a_pipe_is_not_taken_for_a_terminal() -> None:
    assert formats.default_format(io.StringIO()) == "plain"


@pytest.mark.parametrize("name", ["plain", "json"])
def test_a_format_without_colour_does_not_load_rich(name: str) -> None:
    code = (
        "import sys; from kubelag.report.formats import writer; "
        f"writer({name!r}); sys.exit('rich' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
