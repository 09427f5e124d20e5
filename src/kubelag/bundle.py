"""Saves what was seen to one directory, and reads it back elsewhere.

A bundle is `manifest.json` (format, version, checksums), `evidence.json`, `trial.json`,
and one `<name>.jsonl.gz` for each long series of the evidence, one event a line.
It holds what the model holds and nothing of the environment. It is written beside its place and
then renamed into it, so that whoever looks finds the old one or the new one, never a half.
"""

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from kubelag import __version__
from kubelag.errors import BundleError
from kubelag.model.encoding import encode, encode_indented
from kubelag.model.evidence import (
    ClientNote,
    Evidence,
    HostSample,
    Process,
    Request,
    Syscall,
    TreeSample,
)
from kubelag.model.experiment import Trial
from kubelag.model.network import Connection, Lookup
from kubelag.renaming import exchange

FORMAT: Final = 1
SERIES: Final[tuple[tuple[str, type], ...]] = (
    ("syscalls", Syscall),
    ("processes", Process),
    ("requests", Request),
    ("notes", ClientNote),
    ("tree", TreeSample),
    ("host", HostSample),
    ("lookups", Lookup),
    ("connections", Connection),
)
"""Fields of the evidence that grow with the run, each in a file of its own."""

_MANIFEST = "manifest.json"
_EVIDENCE, _TRIAL = "evidence.json", "trial.json"
_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o600
_ELSEWHERE = "name another directory with --save"
_COPY_AGAIN = "copy the bundle again, or save a new one with kubelag explain --save"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What `load` gives back: all that a report is made from."""

    evidence: Evidence
    trial: Trial
    kubelag_version: str
    """The kubelag that recorded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What says that a directory is a bundle, and that nothing in it is damaged."""

    kind: Literal["kubelag/bundle"] = "kubelag/bundle"
    format: int
    kubelag_version: str
    files: dict[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamp:
    """The part of a manifest that every format shares."""

    kind: Literal["kubelag/bundle"]
    format: int
    kubelag_version: str = "unknown"


def check_place(directory: Path) -> Path:
    """Its absolute path, if a bundle may be written there; ask before a long run, not after.

    Only an empty directory, or a bundle with nothing of the user's beside it, is ever replaced.

    Raises:
        BundleError: Something else is there, or nothing may be written there.
    """
    place = Path(os.path.abspath(directory))  # noqa: PTH100 - Path.resolve would follow a link
    if place.is_symlink():
        raise BundleError(f"{place} is a symbolic link, which no bundle replaces", _ELSEWHERE)
    try:
        names = {entry.name for entry in place.iterdir()} if place.exists() else set()
    except OSError as error:
        raise BundleError(f"{place} is in the way: {error.strerror}", _ELSEWHERE) from error
    if names:
        _refuse_foreign(place, names)
    parent = next(one for one in place.parents if one.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(f"nothing can be written to {parent}", _ELSEWHERE)
    return place


def save(directory: Path, evidence: Evidence, trial: Trial) -> None:
    """Write a bundle; an older one in the same place is replaced, anything else is refused.

    Raises:
        BundleError: The place holds something else, or cannot be written.
    """
    place = check_place(directory)
    files = dict(_encoded(evidence, trial))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            _write_all(draft, files)
            _put_in_place(draft, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise BundleError(
            f"the bundle cannot be written to {place}: {error.strerror or error}",
            _ELSEWHERE,
        ) from error


def load(directory: Path) -> Bundle:
    """Read a bundle, checking it.

    Raises:
        BundleError: It is none, damaged, or of a newer format; names the file and the field.
    """
    manifest = _manifest(directory)
    evidence = _decode(_checked(directory, _EVIDENCE, manifest), Evidence, directory / _EVIDENCE)
    series: dict[str, Any] = {
        name: _series(directory, name, event, manifest) for name, event in SERIES
    }
    return Bundle(
        evidence=replace(evidence, **series),
        trial=_decode(_checked(directory, _TRIAL, manifest), Trial, directory / _TRIAL),
        kubelag_version=manifest.kubelag_version,
    )


# Writing


def _refuse_foreign(place: Path, names: set[str]) -> None:
    own = {_MANIFEST, _EVIDENCE, _TRIAL, *(_series_file(name) for name, _ in SERIES)}
    if _MANIFEST not in names:
        raise BundleError(f"{place} is not empty and no bundle", _ELSEWHERE)
    if foreign := sorted(names - own):
        raise BundleError(f"{place} also holds {foreign[0]!r}, which no bundle has", _ELSEWHERE)
    _stamp(place)


def _encoded(evidence: Evidence, trial: Trial) -> Iterator[tuple[str, bytes]]:
    nothing: dict[str, Any] = {name: () for name, _ in SERIES}
    yield _EVIDENCE, encode_indented(replace(evidence, **nothing))
    yield _TRIAL, encode_indented(trial)
    for name, _ in SERIES:
        lines = b"".join(encode(event) + b"\n" for event in getattr(evidence, name))
        yield _series_file(name), gzip.compress(lines, mtime=0)


def _write_all(draft: Path, files: Mapping[str, bytes]) -> None:
    entries = {
        name: Entry(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        for name, data in files.items()
    }
    manifest = Manifest(format=FORMAT, kubelag_version=__version__, files=entries)
    for name, data in {**files, _MANIFEST: encode_indented(manifest)}.items():
        fd = os.open(draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(fd, "wb") as file:
            file.write(data)


def _put_in_place(draft: Path, place: Path) -> None:
    """One atomic step where the file system can exchange two directories, else two."""
    draft.chmod(_DIRECTORY_MODE)
    if not place.exists() or not any(place.iterdir()):
        draft.rename(place)
    elif not exchange(draft, place):
        former = Path(tempfile.mkdtemp(prefix=f".{place.name}.former.", dir=place.parent))
        place.rename(former)
        try:
            draft.rename(place)
        except OSError:
            former.rename(place)
            raise
        shutil.rmtree(former, ignore_errors=True)


# Reading


def _manifest(directory: Path) -> Manifest:
    stamp = _stamp(directory)
    if stamp.format > FORMAT:
        raise BundleError(
            f"{directory} has bundle format {stamp.format}, written by kubelag "
            f"{stamp.kubelag_version}, and kubelag {__version__} reads up to {FORMAT}",
            "upgrade kubelag on this machine",
        )
    return _decode(_read(directory / _MANIFEST), Manifest, directory / _MANIFEST)


def _stamp(directory: Path) -> _Stamp:
    if not (directory / _MANIFEST).is_file():
        raise BundleError(
            f"{directory} is no bundle, since it has no {_MANIFEST}",
            "give the directory that kubelag explain --save wrote",
        )
    return _decode(_read(directory / _MANIFEST), _Stamp, directory / _MANIFEST)


def _checked(directory: Path, name: str, manifest: Manifest) -> bytes:
    entry = manifest.files.get(name)
    if entry is None:
        raise BundleError(f"{directory / _MANIFEST} does not list {name}", _COPY_AGAIN)
    data = _read(directory / name)
    if len(data) != entry.size_bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        message = f"{directory / name} is damaged: it is not what was saved (checksum)"
        raise BundleError(message, _COPY_AGAIN)
    return data


def _series(directory: Path, name: str, event: type[_T], manifest: Manifest) -> tuple[_T, ...]:
    path = directory / _series_file(name)
    if path.name not in manifest.files:  # written before there was such a series
        return ()
    try:
        text = gzip.decompress(_checked(directory, path.name, manifest))
    except (OSError, EOFError, zlib.error) as error:
        raise BundleError(f"{path} is damaged: {error}", _COPY_AGAIN) from error
    return tuple(
        _decode(line, event, path, f"line {number}, ")
        for number, line in enumerate(text.splitlines(), start=1)
    )


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BundleError(f"{path} is missing", _COPY_AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {error.strerror}", "see that it is yours to read"
        ) from error


def _decode(data: bytes, kind: type[_T], path: Path, where: str = "") -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:  # ValidationError, which names the field, is one
        raise BundleError(f"{path} is damaged: {where}{error}", _COPY_AGAIN) from error


def _series_file(name: str) -> str:
    return f"{name}.jsonl.gz"
