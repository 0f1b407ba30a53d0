"""Data by URI: the same data as from the file, one line for what cannot be had, no credentials."""

from __future__ import annotations

import re
import socket
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest

from trainers.data import uri as addresses
from trainers.data.dataset import load
from trainers.data.uri import fetch, masked
from trainers.errors import InvalidInput, Unavailable
from trainers.problems.registry import get_problem

ROWS = pd.DataFrame({"a": np.arange(40.0) ** 2, "b": np.arange(40.0) % 7, "y": np.arange(40) % 2})


@dataclass
class Site:
    """A web server on loopback: what it gives for a path, and what it was asked."""

    host: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)

    def uri(self, path: str, user: str = "") -> str:
        return f"http://{user}{self.host}{path}"


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *arguments: Any) -> None:
        self.site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.site.asked.append((self.path, self.headers.get("Authorization", "")))
        path = self.path.partition("?")[0]
        if path == "/slow.csv":
            self.site.silent.wait(30)
            return
        status = 403 if path == "/secret.csv" else 200 if path in self.site.files else 404
        if path.startswith("/status/"):
            status = int(path.removeprefix("/status/").removesuffix(".csv"))
        content = self.site.files.get(path, b"")
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + (path == "/cut.csv")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = Site("")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, found)) as server:
        found.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            found.silent.set()
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    fetch.cache_clear()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same rows in each format."""
    paths = {kind: tmp_path / f"the rows.{kind}" for kind in ("csv", "parquet", "npz")}
    ROWS.to_csv(paths["csv"], index=False)
    ROWS.to_parquet(paths["parquet"])
    np.savez(paths["npz"], X=ROWS[["a", "b"]], y=ROWS["y"])
    return paths


def refused(uri: str) -> str:
    """The line that `uri` earns, which is all that a Python traceback shows of it, too."""
    with pytest.raises(InvalidInput) as caught:
        load(uri, target="y")
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(f"data = {masked(uri)!r}")
    if masked(uri) != uri:
        assert uri not in "".join(traceback.format_exception(caught.value))
    return line


# --------------------------------------------------------------------------------- the same data


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_data_by_uri_are_the_data_in_the_file(
    site: Site, files: dict[str, Path], kind: str
) -> None:
    site.files[f"/d/rows.{kind}"] = content = files[kind].read_bytes()
    fsspec.filesystem("memory").pipe(f"/rows.{kind}", content)
    target = "y"
    expected = load(str(files[kind]), target=target, validation=0.2)
    uris = [site.uri(f"/d/rows.{kind}"), files[kind].as_uri(), f"memory:///rows.{kind}"]
    for uri in uris:
        found = load(uri, target=target, validation=0.2)
        assert found.fingerprint == expected.fingerprint
        np.testing.assert_array_equal(found.train_inputs, expected.train_inputs)
        assert found.name == uri
    assert "%20" in uris[1]  # of the space in the name


def test_it_is_fetched_once_in_a_process_by_one_request(site: Site, files: dict[str, Path]) -> None:
    site.files["/rows.csv"] = files["csv"].read_bytes()
    uri = site.uri("/rows.csv?X-Amz-Credential=A%2Fb&X-Amz-Signature=0123abc", user="me:pass@")
    names = {load(uri, target="y", split_seed=seed).name for seed in range(3)}
    assert names == {f"http://***@{site.host}/rows.csv?X-Amz-Credential=***&X-Amz-Signature=***"}
    basic = f"Basic {b64encode(b'me:pass').decode()}"
    assert site.asked == [("/rows.csv?X-Amz-Credential=A%2Fb&X-Amz-Signature=0123abc", basic)]


# ------------------------------------------------------------------------------ what cannot be had


def test_what_the_server_says(site: Site) -> None:
    site.files |= {"/bad.csv": b"a,y\n1,2,3\n", "/cut.csv": b"a,y\n1,2\n", "/empty.csv": b""}
    for path, why in {
        "/absent.csv": "cannot be fetched: it does not exist",
        "/secret.csv": "cannot be fetched: the server answers 403 Forbidden",
        "/cut.csv": "cannot be fetched: ClientPayloadError",
    }.items():
        assert refused(site.uri(f"{path}?token=hush", user="me:hush@")).endswith(why)
    with pytest.raises(InvalidInput, match=r"http://.*/bad.csv' cannot be read as a CSV table"):
        load(site.uri("/bad.csv"), target="y")
    with pytest.raises(InvalidInput, match=r"token=\*\*\*': the file is empty"):
        load(site.uri("/empty.csv?token=hush"), target="y")


@pytest.mark.parametrize(
    ("status", "passes"), [(404, False), (403, False), (408, True), (429, True), (503, True)]
)
def test_what_may_pass_is_told_from_what_will_not(site: Site, status: int, passes: bool) -> None:
    with pytest.raises(InvalidInput) as caught:
        get_problem("mlp", data=site.uri(f"/status/{status}.csv"), target="y", hidden=[2])
    assert isinstance(caught.value, Unavailable) == passes


def test_a_server_that_is_not_there_or_says_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_SILENCE_SECONDS", 0.3)
    assert refused(site.uri("/slow.csv", user="me:hush@")).endswith("no answer in time")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        line = refused(f"http://me:hush@127.0.0.1:{taken.getsockname()[1]}/rows.csv")
    assert re.search(r"cannot be fetched: Connect call failed|refused", line)
    assert "hush" not in line
    assert "cannot be fetched: " in refused("http://surefoot.invalid/rows.csv?token=hush")


def test_more_than_can_be_held(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_MOST_BYTES", 1000)
    site.files["/rows.csv"] = 1001 * b"1"
    assert "is larger than 1,000 bytes; give a part of it" in refused(site.uri("/rows.csv"))


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("s3://bucket/rows.csv", "Install s3fs to access S3, here and on every worker"),
        ("gs://bucket/rows.csv", "install gcsfs to access Google Storage, here and on every work"),
        ("htps://host/rows.csv", "unknown scheme 'htps'; did you mean 'https'? valid: https, "),
        ("://host/rows.csv", "unknown scheme ''"),
        ("simplecache::https://me:hush@host/rows.csv", "unknown scheme 'simplecache::https'"),
        ("http:///rows.csv", "is not a valid URI; write SCHEME://HOST/FILE"),
        ("https://host:port/rows.csv", "is not a valid URI"),
        ("https://[::1/rows.csv", "is not a valid URI"),
        ("https://host/ro\nws.csv", "is not a valid URI"),
        ("https://host/rows.txt", "has the extension '.txt'; valid: .csv, .parquet, .npz"),
        ("https://host/rows?format=.csv", "has the extension ''; valid: "),
        ("memory:///absent.csv", "cannot be fetched: it does not exist"),
        ("file://host/rows.csv", "is on another machine; write file:///FOLDER/FILE"),
    ],
)
def test_wrong_addresses(uri: str, why: str) -> None:
    assert why in refused(uri)


def test_a_wrong_file_uri_is_a_wrong_path(files: dict[str, Path]) -> None:
    uri = files["csv"].with_name("rows.csv").as_uri()
    with pytest.raises(InvalidInput, match=r"does not exist; the nearest file there is 'the rows"):
        load(uri, target="y")
