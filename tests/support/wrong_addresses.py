"""Addresses of the study, the records and the data that cannot work, most with a password."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.wrong_jobs import Wrong, changed
from tests.support.wrong_problems import on

__all__ = ["wrong_addresses"]

SECRET = "hush-0815"

# Schemes that nothing here has, now or later.
SCHEMES = st.sampled_from(["ftp", "mysqll", "journals", "", "postgresq", "sqlit", "x+y", "é"])
USERS = st.sampled_from(
    ["", f"me:{SECRET}@", f"{SECRET}@", f"me:{SECRET}/@", f"me:a@{SECRET}@", f"me:#{SECRET}?@"]
)
PLACES = st.sampled_from(["", "host", "host:port", "host:99999999", "[::1", "ho st", "h\u0007"])
ANYWHERE = st.tuples(SCHEMES, USERS, PLACES).map(lambda p: f"{p[0]}://{p[1]}{p[2]}/db")
HALF = st.sampled_from(
    ["", " ", f"http:/me:{SECRET}@host/a.csv", f"sqlite:me:{SECRET}@host/a", f"me:{SECRET}@host/a"]
)
#: Names that no file has, or should have.
NAMES = st.sampled_from(["x" * 300 + ".db", "a\0b", "a\nb", "/"])

RECORDS = st.sampled_from(
    [
        "http://",
        "http://:80",
        f"http://me:{SECRET}@host:port",
        "https://[::1",
        f"postgresql://me:{SECRET}@host:port/db",
        f"mssql+nodriver://me:{SECRET}@host/db",
        "sqlite://",
        "sqlite:///",
        "mlflow.db",
    ]
) | NAMES.map("sqlite:///{}".format)
STUDIES = st.sampled_from(
    [
        "journal:",
        "journal://",
        "journal:///",
        "journal:///folder/",
        f"postgresql+nodriver://me:{SECRET}@host/db",
        "study.log",
    ]
) | NAMES.map("journal:///{}".format)
DATA = st.sampled_from(
    [
        f"http://me:{SECRET}@127.0.0.1:1/rows.csv",  # nobody listens there
        "http:///rows.csv",
        f"https://me:{SECRET}@host/rows.txt",
        f"s3://me:{SECRET}@bucket/rows.csv?token={SECRET}",
    ]
)


def wrong_addresses() -> st.SearchStrategy[Wrong]:
    """One of them, in an else valid job."""

    def at(table: str, key: str, address: str) -> Wrong:
        return Wrong.job(changed((table, key), address), f"{table}.{key}", secret=SECRET)

    return st.one_of(
        (ANYWHERE | HALF | RECORDS).map(lambda address: at("tracking", "uri", address)),
        (ANYWHERE | HALF | STUDIES).map(lambda address: at("storage", "url", address)),
        (ANYWHERE | HALF | DATA).map(lambda address: on(address, "data = ", secret=SECRET)),
    )
