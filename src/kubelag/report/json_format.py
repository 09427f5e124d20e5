"""The report as JSON, after the published schema (schema/report-1.json)."""

from typing import TextIO

from kubelag.model.encoding import encode_indented
from kubelag.model.report import Report


def write(report: Report, stream: TextIO) -> None:
    """Write it with the field names of the model, in their order, indented by two."""
    stream.write(encode_indented(report).decode())
