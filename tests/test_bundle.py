import dataclasses
import gzip
import hashlib
import json
import stat
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelag import __version__, bundle
from kubelag.errors import BundleError
from kubelag.model.evidence import (
    CacheDirectory,
    Client,
    ClientNote,
    DiskSample,
    Evidence,
    HostSample,
    Look,
    Machine,
    OwnPhase,
    OwnRequest,
    Process,
    Request,
    Run,
    Syscall,
    TreeSample,
)
from kubelag.model.experiment import Arm, Estimate, Experiment, Trial

START = 1_795_435_451_000_000_000
FILES = [
    "connections.jsonl.gz",
    "evidence.json",
    "host.jsonl.gz",
    "lookups.jsonl.gz",
    "manifest.json",
    "notes.jsonl.gz",
    "processes.jsonl.gz",
    "requests.jsonl.gz",
    "syscalls.jsonl.gz",
    "tree.jsonl.gz",
    "trial.json",
]
DISK = DiskSample(
    device="loop0",
    reads=1,
    writes=2,
    read_bytes=512,
    write_bytes=1024,
    read_ms=0,
    write_ms=40,
)
EVIDENCE = Evidence(
    command=("kubectl", "get", "nodes"),
    cold=True,
    repeatable=True,
    repeatable_why="get only reads",
    run=Run(start_ns=START, end_ns=START + 10**10, exit_code=0),
    machine=Machine(hostname="master-2", kernel="6.1", os="Debian 12", processors=2, is_root=True),
    client=Client(name="kubectl", path="/usr/bin/kubectl", real_path="/opt/kubectl"),
    cache=CacheDirectory(root="/root/.kube/cache", rule="HOME"),
    looks=(Look(observer="syscalls", state="looked", how="strace", events=1),),
    syscalls=tuple(
        Syscall(pid=7, name="fsync", start_ns=START + at, end_ns=START + at + 9, path="/c/f")
        for at in range(300)
    ),
    processes=(
        Process(pid=7, parent_pid=None, start_ns=START, end_ns=None, program="/opt/kubectl"),
    ),
    requests=(Request(verb="GET", url="https://h/api", status=200, start_ns=1, end_ns=2),),
    notes=(ClientNote(kind="throttled", at_ns=START, wait_ns=5),),
    tree=(TreeSample(at_ns=START, cpu_ns=1, run_queue_ns=2, major_faults=0, minor_faults=3),),
    host=(
        HostSample(
            at_ns=START,
            cpu_busy_ns=1,
            cpu_total_ns=2,
            load_1min=0.5,
            memory_available_bytes=1,
            memory_total_bytes=2,
            disks=(DISK,),
        ),
    ),
    own_request=OwnRequest(
        verb="GET",
        url="https://h/api/v1/nodes",
        status=200,
        took_ns=9,
        phases=(OwnPhase(kind="tls", took_ns=7, detail="TLSv1.3"),),
    ),
)
TRIAL = Trial(
    arms=(Arm(name="unchanged", walls_ns=(10, 11), exit_codes=(0, 0)),),
    experiments=(
        Experiment(
            id="fsync_suppressed",
            outcome="measured",
            estimate=Estimate(saving_ns=9, low_ns=8, high_ns=10, pairs=2),
        ),
    ),
    stopped="large effect",
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "bundle"


@pytest.fixture
def saved(place: Path) -> Path:
    bundle.save(place, EVIDENCE, TRIAL)
    return place


def forge(directory: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file and its checksum, as no accident would."""
    data = change((directory / name).read_bytes())
    (directory / name).write_bytes(data)
    manifest = json.loads((directory / "manifest.json").read_bytes())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_saved_is_what_is_loaded(saved: Path) -> None:
    assert bundle.load(saved) == bundle.Bundle(
        evidence=EVIDENCE,
        trial=TRIAL,
        kubelag_version=__version__,
    )


def test_a_bundle_can_be_moved(saved: Path, tmp_path: Path) -> None:
    elsewhere = saved.rename(tmp_path / "elsewhere")
    assert bundle.load(elsewhere).evidence == EVIDENCE


def test_a_bundle_is_its_owners_alone(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == FILES
    assert stat.S_IMODE(saved.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in saved.iterdir()} == {0o600}


def test_the_same_evidence_makes_the_same_files(saved: Path, tmp_path: Path) -> None:
    bundle.save(tmp_path / "again", EVIDENCE, TRIAL)
    for name in FILES:
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_repetitive_events_take_little_room(saved: Path) -> None:
    assert (saved / "syscalls.jsonl.gz").stat().st_size < 20 * len(EVIDENCE.syscalls)


SHORT = {"server_probes", "messages", "captures", "neighbours"}
"""A handful each, whatever the run was like."""


def test_every_long_series_has_a_file_of_its_own() -> None:
    hints = typing.get_type_hints(Evidence)
    series = {
        field.name: typing.get_args(hints[field.name])[0]
        for field in dataclasses.fields(Evidence)
        if field.default == () and typing.get_origin(hints[field.name]) is tuple
    }
    assert {name: kind for name, kind in series.items() if name not in SHORT} == dict(bundle.SERIES)


def test_no_environment_variable_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PASSWORD", "planted-secret")
    bundle.save(place, EVIDENCE, TRIAL)
    for path in place.iterdir():
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        assert b"planted-secret" not in text
        assert b"KUBE_PASSWORD" not in text


def test_an_older_bundle_is_replaced_and_nothing_is_left_beside_it(saved: Path) -> None:
    bundle.save(saved, EVIDENCE, Trial())
    assert bundle.load(saved).trial == Trial()
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_older_bundle_is_replaced_where_directories_cannot_be_exchanged(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "exchange", lambda *_: False)
    bundle.save(saved, EVIDENCE, Trial())
    assert bundle.load(saved).trial == Trial()
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_failed_save_leaves_the_older_bundle_as_it_was(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_put_in_place", fail)
    with pytest.raises(BundleError, match="No space left on device; name another directory"):
        bundle.save(saved, EVIDENCE, Trial())
    assert bundle.load(saved).trial == TRIAL
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_empty_directory_is_used(place: Path) -> None:
    place.mkdir(mode=0o755)
    bundle.save(place, EVIDENCE, TRIAL)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_missing_parents_are_made(place: Path) -> None:
    bundle.save(place / "deep" / "down", EVIDENCE, TRIAL)
    assert bundle.load(place / "deep" / "down").trial == TRIAL


def test_a_directory_with_other_things_is_never_replaced(place: Path) -> None:
    place.mkdir()
    (place / "thesis.tex").write_text("dear")
    with pytest.raises(BundleError, match="not empty and no bundle"):
        bundle.save(place, EVIDENCE, TRIAL)
    assert (place / "thesis.tex").read_text() == "dear"


def test_a_bundle_to_which_the_user_added_something_is_never_replaced(saved: Path) -> None:
    (saved / "my-notes.txt").write_text("dear")
    with pytest.raises(BundleError, match=r"also holds 'my-notes\.txt'"):
        bundle.save(saved, EVIDENCE, Trial())
    assert bundle.load(saved).trial == TRIAL


def test_a_manifest_of_something_else_is_never_replaced(place: Path) -> None:
    place.mkdir()
    (place / "manifest.json").write_text('{"kind": "web app", "format": 1}')
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle.check_place(place)


def test_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    place.symlink_to(tmp_path / "target")
    with pytest.raises(BundleError, match="symbolic link"):
        bundle.save(place, EVIDENCE, TRIAL)


def test_a_file_in_the_way_is_named(place: Path) -> None:
    place.write_text("dear")
    with pytest.raises(BundleError, match="in the way: Not a directory"):
        bundle.check_place(place)
    with pytest.raises(BundleError, match="name another directory"):
        bundle.save(place / "below", EVIDENCE, TRIAL)


def test_a_directory_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle.*give the directory that kubelag"):
        bundle.load(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(BundleError, match=name):
        bundle.load(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_named(saved: Path, name: str) -> None:
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match=f"{name} is damaged.*copy the bundle again"):
        bundle.load(saved)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_one_changed_bit_is_found(saved: Path, name: str) -> None:
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        bundle.load(saved)


def test_a_wrong_field_is_named(saved: Path) -> None:
    forge(
        saved,
        "evidence.json",
        lambda data: data.replace(b'"hostname": "master-2"', b'"hostname": 2'),
    )
    with pytest.raises(BundleError, match=r"evidence\.json is damaged.*\$\.machine\.hostname"):
        bundle.load(saved)


def test_a_wrong_event_is_named_with_its_line(saved: Path) -> None:
    def change(data: bytes) -> bytes:
        lines = gzip.decompress(data).splitlines()
        lines[41] = lines[41].replace(b'"pid":7', b'"pid":"seven"')
        return gzip.compress(b"\n".join(lines))

    forge(saved, "syscalls.jsonl.gz", change)
    with pytest.raises(BundleError, match=r"syscalls\.jsonl\.gz is damaged: line 42, .*\$\.pid"):
        bundle.load(saved)


def test_what_is_not_compressed_is_damaged(saved: Path) -> None:
    forge(saved, "host.jsonl.gz", lambda _: b"{}")
    with pytest.raises(BundleError, match=r"host\.jsonl\.gz is damaged"):
        bundle.load(saved)


def test_a_newer_format_asks_for_a_newer_kubelag(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_bytes())
    manifest |= {"format": bundle.FORMAT + 1, "kubelag_version": "9.9", "files": "other"}
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"written by kubelag 9\.9.*upgrade kubelag"):
        bundle.load(saved)


def test_a_bundle_from_before_kubelag_had_a_client_is_loaded(saved: Path) -> None:
    def without_it(data: bytes) -> bytes:
        return json.dumps(
            {k: v for k, v in json.loads(data).items() if k != "own_request"}
        ).encode()

    forge(saved, "evidence.json", without_it)
    assert bundle.load(saved).evidence == dataclasses.replace(EVIDENCE, own_request=None)


def test_a_file_name_that_is_no_utf8_survives(place: Path) -> None:
    odd = dataclasses.replace(EVIDENCE, command=("kubectl", "apply", "-f", "b\udcffd.yaml"))
    bundle.save(place, odd, TRIAL)
    assert bundle.load(place).evidence.command[-1] == "b\\udcffd.yaml"
