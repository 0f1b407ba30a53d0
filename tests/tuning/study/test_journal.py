"""The study's journal file: one line, one write; a torn one loses nothing, whatever is killed."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileSymlinkLock

from tests.support.study_places import ATTRIBUTES, record
from tests.support.study_places import plain_journal as plainly
from trainers.errors import InvalidInput
from tuning.study import StudyStore

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "studies" / "job.log"


@pytest.fixture
def url(path: Path) -> str:
    return f"journal:///{path}"


@pytest.fixture
def store(url: str) -> StudyStore:
    return StudyStore.create(url, "job", ATTRIBUTES)


@pytest.mark.usefixtures("store")
def test_reading_what_is_not_there_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no study file"):
        StudyStore.open(f"journal:///{tmp_path}/none.log", "job")
    assert not (tmp_path / "none.log").exists()


@pytest.mark.usefixtures("store")
def test_a_file_goes_with_its_last_study(path: Path, url: str) -> None:
    StudyStore.create(url, "other", {})
    StudyStore.delete(url, "job")
    assert path.exists()
    StudyStore.delete(url, "other")
    assert not path.exists()


def test_one_append_is_one_line(store: StudyStore, path: Path) -> None:
    before = path.read_bytes()
    store.append(record(0))
    after = path.read_bytes()
    assert after.startswith(before)
    assert after[len(before) :].count(b"\n") == 1
    assert after.endswith(b"\n")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_creation_cut_short_is_not_a_study_and_can_be_done_again(
    url: str, path: Path, lines: int
) -> None:
    written = path.read_bytes().splitlines(keepends=True)
    assert len(written) == 4  # the study, two attributes, and the mark that it is complete
    path.write_bytes(b"".join(written[:lines]) + written[lines][:-9])
    with pytest.raises(InvalidInput, match="it holds no study"):
        StudyStore.open(url, "job")
    again = StudyStore.create(url, "job", ATTRIBUTES)
    again.append(record(0))
    assert StudyStore.open(url, "job").attributes == ATTRIBUTES
    assert len(plainly(path).trials) == 1


@pytest.mark.parametrize(
    "url",
    ["sqlite:///x.db", "postgresql://h/d", "journal://x.log", "journal:///", "x.log", ""],
)
def test_other_addresses_are_refused_with_what_is_valid(url: str) -> None:
    with pytest.raises(InvalidInput) as created:
        StudyStore.create(url, "job", {})
    with pytest.raises(InvalidInput) as opened:
        StudyStore.open(url, "job")
    assert (
        str(created.value)
        == str(opened.value)
        == f"storage.url = {url!r} is not valid: use journal:///relative/study.log, "
        "journal:////absolute/study.log or postgresql+psycopg://user@host:5432/database"
    )


def test_three_slashes_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    StudyStore.create("journal:///data/job.log", "job", {})
    assert (tmp_path / "data" / "job.log").stat().st_size > 0


@pytest.mark.parametrize("text", ["a = 1\nb = 2\n", "1\n2\n", "{}\n{}\n", "\udc80\n\n"])
def test_a_file_that_is_no_journal_is_named(path: Path, url: str, text: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=r"job\.log is not a study journal"):
        StudyStore.open(url, "job")


# ----------------------------------------------------------------- killed in the middle of a write


def test_optuna_alone_loses_what_follows_a_torn_line(store: StudyStore, path: Path) -> None:
    """Why `WriteLock` exists; when this fails, Optuna has learnt it and `WriteLock` may go."""
    store.append(record(0))
    whole = path.read_bytes()
    store.append(record(1))
    path.write_bytes(path.read_bytes()[: len(whole) + 40])
    plain = plainly(path)
    for value in (1.0, 2.0):
        with pytest.raises((AttributeError, ValueError)):
            plain.add_trial(optuna.trial.create_trial(value=value))
    with pytest.raises(ValueError, match=r"Extra data|Expecting|delimiter"):
        plainly(path)


def test_a_line_torn_anywhere_is_passed_over_and_then_removed(
    store: StudyStore, path: Path, url: str
) -> None:
    for n in range(3):
        store.append(record(n))
    before = len(path.read_bytes())
    store.append(record(3, size=5000))
    whole = path.read_bytes()
    for cut in [
        *range(before + 1, before + 60),
        *range(before + 60, len(whole), 501),
        len(whole) - 1,
    ]:
        path.write_bytes(whole[:cut])
        torn = StudyStore.open(url, "job")
        assert [r.number for r in torn.records()] == [0, 1, 2]
        assert [t.number for t in plainly(path).trials] == [0, 1, 2]
        # Reading repairs nothing: a writer may be in the middle of that line.
        assert path.stat().st_size == cut
        torn.append(record(3))
        torn.append(record(4))
        assert StudyStore.open(url, "job").records() == [record(n) for n in range(5)]
        assert [t.number for t in plainly(path).trials] == list(range(5))


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes; a write is cut there, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_os_error_and_loses_nothing(
    store: StudyStore, path: Path, url: str
) -> None:
    store.append(record(0, size=100_000))
    before = path.stat().st_size
    with disk_of(before + 1000), pytest.raises(OSError, match="cannot append trial 1") as error:
        store.append(record(1, size=2000))
    assert error.value.filename == str(path)
    assert path.stat().st_size == before + 1000  # the write was cut, as on a full disk
    assert StudyStore.open(url, "job").records() == store.records() == [record(0, size=100_000)]
    # The same store goes on when there is room again.
    store.append(record(1))
    store.append(record(2))
    assert [r.number for r in StudyStore.open(url, "job").records()] == [0, 1, 2]
    assert len(plainly(path).trials) == 3


def test_a_file_that_went_away_is_an_os_error_and_not_a_new_study(
    store: StudyStore, path: Path
) -> None:
    path.rename(path.with_suffix(".old"))
    with pytest.raises(FileNotFoundError, match=r"job\.log"):
        store.append(record(0))
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_an_os_error(path: Path, url: str) -> None:
    path.mkdir(parents=True)
    with pytest.raises(OSError, match=r"job\.log"):
        StudyStore.create(url, "job", {})


def test_locks_that_killed_optuna_writers_left_behind_do_not_stop_us(
    store: StudyStore, path: Path
) -> None:
    JournalFileSymlinkLock(str(path)).acquire()
    start = time.monotonic()
    store.append(record(0))
    # Optuna's own lock waits for its grace period of 30 seconds.
    assert time.monotonic() - start < 5


def test_a_reader_beside_a_writer_sees_only_whole_prefixes(store: StudyStore, url: str) -> None:
    wanted = [record(n, size=30_000) for n in range(60)]
    done = threading.Event()
    seen: list[int] = []
    wrong: list[int] = []

    def read() -> None:
        while not done.is_set():
            fresh = StudyStore.open(url, "job").records()
            seen.append(len(fresh))
            wrong.extend(r.number for r in fresh if r != wanted[r.number])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for each in wanted:
            store.append(each)
    finally:
        done.set()
        reader.join()
    assert wrong == []
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
