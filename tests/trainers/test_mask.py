"""No password is shown, whatever it holds and wherever in an address it stands."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers._mask import mask

SERVERS = [
    ("p://u:hunter2@h:1/d", "p://u:***@h:1/d"),
    ("p://u:a@hunter2/b@h/d", "p://u:***@h/d"),
    ("p://u:a?hunter2@h/d", "p://u:***@h/d"),
    ("p://u:hunter2", "p://u:***"),
    ("p://h:5432,i:5433/d", "p://h:5432,i:5433/d"),
    ("p://u@h/d?password=hunter2&x=1", "p://u@h/d?password=***&x=1"),
    ("p://u@h/d?x=1&sslpassword=hunter2", "p://u@h/d?x=1&sslpassword=***"),
    ("p://u@h/d?PASS%57ORD=hunter2", "p://u@h/d?PASS%57ORD=***"),
    ("journal:///a/b.log", "journal:///a/b.log"),
    ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ("https://me:pa:ss@host/mlflow", "https://me:***@host/mlflow"),
    ("postgresql+psycopg://me:p@ss/w@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
    ("mysql://host/db?user=me&password=secret&x=1", "mysql://host/db?user=me&password=***&x=1"),
    ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ("http://[::1", "http://[::1"),
    ("http://[::1]:5000/a", "http://[::1]:5000/a"),
]
DATA = [
    ("rows.csv", "rows.csv"),
    ("s3://bucket/rows.csv", "s3://bucket/rows.csv"),
    ("https://token@host/a.csv", "https://***@host/a.csv"),
    ("https://me:p@ss/w?rd#@host/a.csv", "https://***@host/a.csv"),
    ("https://h/a.csv?sig=s&n=1#part", "https://h/a.csv?sig=***&n=***"),
    ("https://h/a.csv?bare-token", "https://h/a.csv?***"),
    ("https://h/a.csv?sig=a=b&&c=", "https://h/a.csv?sig=***&&c=***"),
    ("postgresql:me:hush@host/a", "postgresql:***@host/a"),
    ("http:/me:hush@host/a", "http:/***@host/a"),
    ("//me:hush@host/a", "//***@host/a"),
    ("simplecache::https://me:hush@host/a", "simplecache:***@host/a"),
    ("me@work.csv", "me@work.csv"),
    ("what?.csv", "what?.csv"),
    ("https://h/a.csv?a=1?b=2", "https://h/a.csv?a=***"),
]
PASSWORDS = st.text(min_size=6).map(lambda text: f"hunter2{text}")


@pytest.mark.parametrize(("url", "shown"), SERVERS)
def test_of_a_server_the_password(url: str, shown: str) -> None:
    assert mask(url) == shown


@pytest.mark.parametrize(("uri", "shown"), DATA)
def test_of_data_the_user_and_each_value_too(uri: str, shown: str) -> None:
    assert mask(uri, everything=True) == shown


@given(PASSWORDS, st.booleans())
def test_a_password_may_hold_any_sign(password: str, everything: bool) -> None:
    for url in (
        f"postgresql+psycopg://ann:{password}@host:5432/db",
        f"http://host/db?password={quote(password)}&x=1",
        f"http://ann:{password}@host/?sslpassword={quote(password)}",
    ):
        assert "hunter2" not in mask(url, everything=everything)


@given(st.text())
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    if not {":", "@", "/", "="} & set(text):
        assert mask(text) == mask(text, everything=True) == text


@given(PASSWORDS, st.booleans())
def test_what_is_masked_stays_so(password: str, everything: bool) -> None:
    shown = mask(f"p://ann:{password}@host/db?secret={quote(password)}", everything=everything)
    assert mask(shown, everything=everything) == shown
