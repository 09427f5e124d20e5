import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from kubelag.model.report import Report
from kubelag.report import json_format, schema

PUBLISHED = Path(__file__).parents[2] / "schema" / "report-1.json"


def as_json(report: Report) -> dict[str, Any]:
    stream = io.StringIO()
    json_format.write(report, stream)
    return dict(json.loads(stream.getvalue()))


@pytest.fixture
def validator() -> Draft202012Validator:
    published = json.loads(PUBLISHED.read_bytes())
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published)


def test_the_published_schema_is_that_of_the_dataclasses() -> None:
    assert PUBLISHED.read_bytes() == schema.encoded(), "run scripts/schema"


def test_every_report_keeps_to_the_schema(sample: Report, validator: Draft202012Validator) -> None:
    validator.validate(as_json(sample))


def test_a_report_without_a_field_does_not(
    incident: Report, validator: Draft202012Validator
) -> None:
    broken = as_json(incident)
    del broken["observer"]["lost"]
    with pytest.raises(ValidationError, match="'lost' is a required property"):
        validator.validate(broken)


def test_the_schema_names_its_version(validator: Draft202012Validator, incident: Report) -> None:
    with pytest.raises(ValidationError, match="kubelag/report-1"):
        validator.validate(as_json(incident) | {"schema": "kubelag/report-2"})


def test_field_docstrings_become_descriptions() -> None:
    share = schema.schema()["$defs"]["FactorLine"]["properties"]["share"]
    assert share["description"] == "critical_s / wall_s, from 0 to 1."


def test_a_file_name_that_is_no_utf8_is_still_json(
    incident: Report, validator: Draft202012Validator
) -> None:
    odd = replace(incident.command, argv=("kubectl", "apply", "-f", "b\udcffd.yaml"))
    shown = as_json(replace(incident, command=odd))
    validator.validate(shown)
    assert shown["command"]["argv"][-1] == "b\\udcffd.yaml"
