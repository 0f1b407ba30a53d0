"""The fencing of a study in PostgreSQL: nothing lost, nothing twice, whatever is killed or cut."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
import pytest

from tests.support.network_proxy import Proxy
from tests.support.postgres_server import PASSWORD, Postgres
from tests.support.study_places import ATTRIBUTES, plain_database, record, said_by_optuna
from trainers._mask import mask
from trainers.errors import InvalidInput
from tuning.errors import LeaseHeld, LeaseLost, Unreachable
from tuning.storage.postgres_lease import PostgresLease
from tuning.study import StudyStore
from tuning.study.counts import count, counts

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Postgres]:
    yield postgres
    postgres.start_if_stopped()
    postgres.empty()


@pytest.fixture
def lease(server: Postgres) -> Iterator[PostgresLease]:
    with PostgresLease(server.url, "job") as lease:
        yield lease


@pytest.fixture
def store(server: Postgres, lease: PostgresLease) -> StudyStore:
    return StudyStore.create(server.url, "job", ATTRIBUTES, lease)


def create(url: str, name: str) -> StudyStore:
    return StudyStore.create(url, name, {})


def keep_appending(store: StudyStore, number: int, size: int = 0, seconds: float = 20) -> int:
    """As the coordinator does it; gives how often it had to try again."""
    deadline = time.monotonic() + seconds
    for again in range(10_000):
        try:
            store.append(record(number, size))
        except Unreachable:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return again
    raise AssertionError("the database never came back")


def whole(url: str, number: int, size: int = 0) -> None:
    """The study holds trials 0 .. number - 1, complete, once; its tables hold nothing else."""
    assert StudyStore.open(url, "job").records() == [record(n, size) for n in range(number)]
    trials = plain_database(url).trials
    assert [trial.number for trial in trials] == list(range(number))
    assert {trial.state for trial in trials} <= {optuna.trial.TrialState.COMPLETE}
    assert count(url, "job") == number


# ------------------------------------------------------------------------------------- one answer


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("statement", [b"COMMIT", b"INSERT INTO trial_user_attributes"])
def test_a_transaction_cut_off_is_made_once(
    server: Postgres, answered: bool, statement: bytes
) -> None:
    with Proxy(server.port) as proxy:
        url = proxy.through(server.url)
        with PostgresLease(url, "job") as lease:
            store = StudyStore.create(url, "job", ATTRIBUTES, lease)
            store.append(record(0))
            proxy.cut_at(statement, after=b"INSERT INTO trials", answered=answered)
            with pytest.raises(Unreachable):
                store.append(record(1))
            assert proxy.cuts == 1
            store.append(record(1))
            store.append(record(2))
            with pytest.raises(ValueError, match="trial 2 cannot follow 3 trials"):
                store.append(record(2))
    whole(server.url, 3)


def test_a_reader_in_another_thread_does_not_let_optuna_append_twice(server: Postgres) -> None:
    """Reading connects again, but never between a count and the end of the write."""
    with Proxy(server.port) as proxy, PostgresLease(proxy.through(server.url), "job") as lease:
        store = StudyStore.create(lease.url, "job", ATTRIBUTES, lease)

        def read() -> None:
            with suppress(Unreachable):
                store.records()

        for number in range(3):
            proxy.cut_at(b"COMMIT", after=b"INSERT INTO trials", answered=True)
            with disturbed(read, (0.0, 0.01)):
                keep_appending(store, number)
        assert proxy.cuts == 3
    whole(server.url, 3)


def test_optuna_alone_appends_twice_when_the_answer_to_a_commit_is_lost(server: Postgres) -> None:
    """Why `_Session` exists; when this fails, Optuna has learnt it."""
    with PostgresLease(server.url, "job") as lease:
        StudyStore.create(server.url, "job", ATTRIBUTES, lease)
    with Proxy(server.port) as proxy:
        plain = plain_database(proxy.through(server.url))
        proxy.cut_at(b"COMMIT", after=b"INSERT INTO trials", answered=True)
        plain.add_trial(optuna.trial.create_trial(value=1.0))
        assert proxy.cuts == 1
    assert len(plain_database(server.url).trials) == 2


# ------------------------------------------------------------------------------ one coordinator


def test_a_coordinator_that_was_cut_off_cannot_write(server: Postgres) -> None:
    with Proxy(server.port) as proxy:
        url = proxy.through(server.url)
        with PostgresLease(url, "job") as lease:
            first = StudyStore.create(url, "job", ATTRIBUTES, lease)
            first.append(record(0))
            end_sessions(server)
            with PostgresLease(server.url, "job") as taken:
                for _ in range(2):
                    with pytest.raises(LeaseHeld, match="held by process"):
                        first.append(record(1))
                second = StudyStore.open(server.url, "job", taken)
                second.append(record(1))
            for _ in range(2):
                with pytest.raises(LeaseLost, match="another coordinator went on") as lost:
                    first.append(record(1))
                no_password_in(lost.value)
    whole(server.url, 2)


def test_a_coordinator_goes_on_if_nobody_wrote_meanwhile(
    server: Postgres, store: StudyStore
) -> None:
    store.append(record(0))
    end_sessions(server)
    with PostgresLease(server.url, "job") as taken:
        StudyStore.open(server.url, "job", taken)
    store.append(record(1))
    assert store.records() == [record(0), record(1)]
    whole(server.url, 2)


def test_the_real_study_has_no_way_around_the_lease(server: Postgres, store: StudyStore) -> None:
    reader = StudyStore.open(server.url, "job")
    with pytest.raises(ValueError, match="'job' was opened to be read: open it with its lease"):
        reader.append(record(0))
    with pytest.raises(optuna.exceptions.StorageInternalError):
        reader.optuna_study.set_user_attr("x", 1)
    end_sessions(server)
    with pytest.raises(Unreachable, match="the session that holds the lease has ended"):
        store.optuna_study.set_user_attr("x", 1)
    whole(server.url, 0)


@pytest.mark.usefixtures("store")
def test_a_lease_is_for_its_own_study(server: Postgres, lease: PostgresLease) -> None:
    with pytest.raises(ValueError, match="the lease of study 'job' is not that of 'other'"):
        StudyStore.create(server.url, "other", {}, lease)


@pytest.mark.usefixtures("store")
def test_what_another_holds_is_not_created_or_deleted(server: Postgres) -> None:
    for change in (StudyStore.delete, create):
        with pytest.raises(LeaseHeld):
            change(server.url, "job")
    whole(server.url, 0)


def test_a_study_that_was_deleted_is_named(
    server: Postgres, store: StudyStore, lease: PostgresLease
) -> None:
    StudyStore.delete(server.url, "job", lease)
    for use in (store.records, lambda: store.append(record(0))):
        with pytest.raises(InvalidInput, match="any more: it was deleted"):
            use()


# ------------------------------------------------------------------------------------------ kills


def end_sessions(server: Postgres) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'surefoot%'"
    )


@contextmanager
def disturbed(disturb: Callable[[], None], pauses: tuple[float, float]) -> Iterator[list[float]]:
    """`disturb` is called again and again in another thread; the times at which it was."""
    done = threading.Event()
    times: list[float] = []
    rng = random.Random(0)

    def go() -> None:
        while not done.wait(rng.uniform(*pauses)):
            disturb()
            times.append(time.monotonic())

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go)
        try:
            yield times
        finally:
            done.set()
        going.result()


def test_ended_sessions_lose_nothing_and_repeat_nothing(
    server: Postgres, store: StudyStore, capfd: pytest.CaptureFixture[str]
) -> None:
    with disturbed(lambda: end_sessions(server), (0.0, 0.3)) as times:
        number = 0
        while number < 30 or len(times) < 5:
            keep_appending(store, number, size=20_000)
            number += 1
    assert store.records() == [record(n, 20_000) for n in range(number)]
    whole(server.url, number, 20_000)
    assert capfd.readouterr() == ("", "")


def test_crashes_of_the_server_lose_nothing_and_repeat_nothing(
    server: Postgres, store: StudyStore
) -> None:
    number = tries = 0
    with disturbed(server.restart, (0.1, 0.3)) as times:
        while number < 30 or len(times) < 4:
            tries += keep_appending(store, number, size=20_000)
            number += 1
    assert tries > 0
    whole(server.url, number, 20_000)


def test_an_outage_is_an_error_after_which_the_store_goes_on(
    server: Postgres, store: StudyStore
) -> None:
    store.append(record(0))
    server.stop()
    for use in (store.records, lambda: store.append(record(1)), lambda: store.attributes):
        with pytest.raises(Unreachable, match="Connection refused") as failed:
            use()
        no_password_in(failed.value)
    server.start()
    assert store.records() == [record(0)]
    store.append(record(1))
    whole(server.url, 2)


def no_password_in(error: BaseException) -> None:
    assert PASSWORD not in "".join(traceback.format_exception(error))
    assert "\n" not in str(error)


# ----------------------------------------------------------------------------------------- tables


def test_many_may_make_the_tables_at_once(server: Postgres) -> None:
    url = server.new_database("tables")
    with pytest.raises(InvalidInput, match="there are no studies in") as empty:
        StudyStore.open(url, "job")
    no_password_in(empty.value)
    assert counts(url) == {}
    with pytest.raises(InvalidInput, match="there is no study 'job'"):
        count(url, "job")
    with ThreadPoolExecutor(6) as pool:
        made = pool.map(lambda n: StudyStore.create(url, f"job-{n}", {"n": n}), range(6))
        assert [store.attributes for store in made] == [{"n": n} for n in range(6)]
    assert counts(url) == dict.fromkeys([f"job-{n}" for n in range(6)], 0)


def test_tables_cut_short_are_completed(server: Postgres) -> None:
    url = server.new_database("short")
    StudyStore.create(url, "job", {})
    server.execute("DELETE FROM alembic_version", "short")
    with pytest.raises(InvalidInput, match="there are no studies in"):
        StudyStore.open(url, "job")
    StudyStore.create(url, "other", {})
    assert counts(url) == {"job": 0, "other": 0}


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("v2.6.0.a", "are of an older Optuna, 'v2.6.0.a'.*`optuna storage upgrade"),
        ("c9d8e7f6a5b4", "'c9d8e7f6a5b4', which Optuna 5.* does not know: update Optuna, or give"),
    ],
)
def test_tables_of_another_version_are_refused(
    server: Postgres, revision: str, message: str
) -> None:
    url = server.new_database(revision)
    StudyStore.create(url, "job", {})
    server.execute(f"UPDATE alembic_version SET version_num = '{revision}'", revision)
    for use in (
        StudyStore.open,
        StudyStore.delete,
        create,
    ):
        with pytest.raises(InvalidInput, match=message) as refused:
            use(url, "job")
        no_password_in(refused.value)


def test_a_database_of_another_program_gets_no_tables(server: Postgres) -> None:
    url = server.new_database("mlflow")
    server.execute("CREATE TABLE alembic_version (version_num text)", "mlflow")
    server.execute("INSERT INTO alembic_version VALUES ('c9d8e7f6a5b4')", "mlflow")
    with pytest.raises(InvalidInput, match=r"no other program \(MLflow, for one\) uses"):
        StudyStore.create(url, "job", {})
    assert server.execute("SELECT to_regclass('studies')", "mlflow") == [(None,)]


# ----------------------------------------------------------------------------------------- readers


@pytest.fixture
def reader(server: Postgres) -> Iterator[str]:
    """The address for a user who may read and no more."""
    server.execute("CREATE ROLE onlooker LOGIN PASSWORD 'look'")
    server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker")
    yield server.url_of("surefoot", "onlooker", "look")
    server.execute("DROP OWNED BY onlooker")
    server.execute("DROP ROLE onlooker")


def test_who_may_only_read_reads(store: StudyStore, reader: str) -> None:
    for n in range(3):
        store.append(record(n))
    opened = StudyStore.open(reader, "job")
    assert opened.records() == store.records()
    assert opened.attributes == ATTRIBUTES
    assert opened.optuna_study.trials_dataframe().shape[0] == count(reader, "job") == 3
    assert counts(reader) == {"job": 3}


@pytest.mark.usefixtures("store", "lease")
def test_who_may_not_write_or_not_read_is_told_so(server: Postgres, reader: str) -> None:
    StudyStore.create(server.url, "other", {})
    standby = f"{server.url}?options=-c%20default_transaction_read_only%3Don"
    for url, reason in ((reader, "permission denied for table"), (standby, "read-only")):
        for change, name in ((StudyStore.delete, "other"), (create, "new")):
            with pytest.raises(InvalidInput, match=f"refuses: .*{reason}") as refused:
                change(url, name)
            no_password_in(refused.value)
    server.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM onlooker")
    for look in (StudyStore.open, count):
        with pytest.raises(InvalidInput, match="refuses: permission denied for table") as refused:
            look(reader, "job")
        no_password_in(refused.value)


def test_a_reader_survives_an_outage(server: Postgres, store: StudyStore) -> None:
    store.append(record(0))
    opened = StudyStore.open(server.url, "job")
    server.restart()
    assert opened.records() == [record(0)]
    server.stop()
    with pytest.raises(Unreachable) as failed:
        opened.records()
    no_password_in(failed.value)
    server.start()
    assert opened.records() == [record(0)]
    assert len(opened.optuna_study.trials) == 1


def test_a_reading_cut_off_is_one_line_and_no_more(
    server: Postgres, store: StudyStore, capfd: pytest.CaptureFixture[str]
) -> None:
    store.append(record(0))
    with Proxy(server.port) as proxy:
        opened = StudyStore.open(proxy.through(server.url), "job")
        proxy.cut_at(b"FROM trials", after=b"", answered=False)
        with pytest.raises(Unreachable) as failed, said_by_optuna() as said:
            opened.records()
        no_password_in(failed.value)
        assert proxy.cuts == 1
        assert opened.records() == [record(0)]
    assert said == []  # Optuna would log the whole statement
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 513])
def test_names_that_postgresql_cannot_keep_are_refused_at_once(
    server: Postgres, store: StudyStore, key: str
) -> None:
    start = time.monotonic()
    odd = record(0)
    with pytest.raises(ValueError, match="trial 0 has an attribute whose name PostgreSQL cannot"):
        store.append(type(odd)(**{**odd.__dict__, "attributes": {key: 1}}))
    with pytest.raises(ValueError, match="has a name that PostgreSQL cannot keep"):
        StudyStore.create(server.url, "other", {key: 1})
    with pytest.raises(InvalidInput, match=r"PostgreSQL cannot keep.*: choose another name"):
        StudyStore.create(server.url, key, {})
    # Optuna itself would try five times, for some seconds.
    assert time.monotonic() - start < 1
    whole(server.url, 0)


def test_a_store_shows_no_password(store: StudyStore, lease: PostgresLease) -> None:
    study = store.optuna_study
    for each in (store, lease, study, study._storage, vars(study), vars(study._storage)):
        assert PASSWORD not in repr(each)
    assert mask(lease.url).count("***") == 1
