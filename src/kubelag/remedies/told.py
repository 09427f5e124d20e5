"""What the operating system refuses, said as one sentence of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubelag.errors import RemedyError


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn an OSError into a RemedyError that names the path.

    FileExistsError passes, for those who made a thing to find out whether it was there.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise RemedyError(f"{path} cannot be changed: {error.strerror}") from error
