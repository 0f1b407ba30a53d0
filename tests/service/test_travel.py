"""What a job needs travels with it: the user's modules, an object, a table; or is read by URI."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from tests.service.client import Client

TABLE = """
name = "{name}"
[problem]
name = "mlp"
data = "{data}"
target = "y"
task = "regression"
hidden = [2]
[search]
settings = 2
learning_rate = {{ low = 0.01, high = 0.1 }}
sampler = "random"
[training]
restarts = 8
steps = 20
[stability]
max_unstable = 0.4
margin = 1.0
"""


class Quietly(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server with the files of `folder`."""
    handler = partial(Quietly, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_table_travels_or_is_read_by_its_uri(client: Client, tmp_path: Path) -> None:
    """Beside the job file, elsewhere, and by URI: each job gives the report that it gives here. The
    files are gone when the coordinators begin."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12, 2))
    rows = [f"{a:.6f},{b:.6f},{np.sin(a) + b:.6f}" for a, b in x]
    text = "\n".join(["a,b,y", *rows])
    beside = client.write(text, "tables/beside.csv")
    (tmp_path / "elsewhere.csv").write_text(text, encoding="utf-8")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "remote.csv").write_text(text, encoding="utf-8")
    with served(tmp_path / "web") as address:
        places = {
            "beside": "tables/beside.csv",
            "elsewhere": str(tmp_path / "elsewhere.csv"),
            "remote": f"{address}/remote.csv",
        }
        files = {
            name: client.write(TABLE.format(name=name, data=data), f"{name}.toml")
            for name, data in places.items()
        }
        reports = {name: client.here(file) for name, file in files.items()}
        jobs = {name: client.submit(file) for name, file in files.items()}
        beside.unlink()
        (tmp_path / "elsewhere.csv").unlink()
        for name, job_id in jobs.items():
            client.wait(job_id)
            assert client.answer(job_id) == reports[name], client.lines(job_id)


def test_what_is_too_large_for_the_database_travels_by_a_store(client: Client) -> None:
    """100 MB beside the job, and its modules with them: on every node that trains."""
    store = client.folder / "store"
    with open(client.folder / "large.bin", "wb") as large:
        large.truncate(101_000_000)
    table = f'include = ["large.bin"]\nfiles = "{store.as_uri()}"'
    file = client.valley("heavy", cluster=table)
    job_id = client.submit(file)
    (client.folder / "large.bin").unlink()
    client.wait(job_id)
    assert client.answer(job_id) == client.here(file), client.lines(job_id)
    (kept,) = store.iterdir()
    job = client.database.job(job_id)
    assert job.read("bundle-at.txt") == kept.as_uri()
    assert job.read_bytes("bundle.zip") is None


def test_a_problem_travels_as_an_object(client: Client) -> None:
    """From a program of the user's: what lies in its module is nowhere on the cluster."""
    out = client.python(
        """
import json
import numpy as np
import tuning
from trainers import Problem

class Bowl(Problem):
    parameters = 3
    known_minimum = 0.0

    def initial(self, rng):
        return rng.standard_normal(3)

    def loss_and_gradient(self, w):
        return (w**2).sum(axis=1) / 2, w.copy()

settings = dict(
    search={"optimizers": ["gd"], "sampler": "tpe", "settings": 2,
            "learning_rate": {"low": 0.1, "high": 0.5}},
    training={"restarts": 8, "steps": 20},
    stability={"max_unstable": 0.4, "margin": 1.0},
)
job = tuning.submit(problem=Bowl(), **settings)
report = job.wait(timeout=200)
here = tuning.tune(problem=Bowl(), workers="inline", **settings)
print(json.dumps([job.id, str(job.status()), job.owner, "submitted by" in job.logs()]))
print(json.dumps([{**answer.to_dict(), "run": None} for answer in (report, here)]))
"""
    )
    about, reports = (json.loads(line) for line in out.splitlines()[-2:])
    assert about[1:] == ["done", "ada", True]
    assert reports[0] == reports[1]
