"""`surefoot doctor`: is the cluster fit to carry out a job, seen from here and from its inside?"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from textwrap import shorten
from typing import Any

from trainers import InvalidInput, SurefootError
from trainers._mask import mask
from tuning import tracking
from tuning.cluster.ray_jobs import RayJobs
from tuning.execution.ray_nodes import OBJECT_BYTES, cluster_facts
from tuning.jobs.cluster import ClusterJobs
from tuning.jobs.local import LocalJobs

__all__ = ["PROBED", "Finding", "examine", "probe"]

_PROBE_SECONDS = 90.0
_POLL_SECONDS = 0.5
_LEAST_FREE_BYTES = 1_000_000_000
#: How the line with what `probe` saw begins.
PROBED = "surefoot probe: "
#: Packages whose versions must be the same on both sides: what is pickled, and what rounds.
_SAME = ("surefoot", "ray", "numpy", "optuna")
_MAX_LISTED = 4
_SILENT = (
    "see that its machine runs, is not overloaded, and can be reached from the head; its logs are "
    "in Ray's dashboard"
)
_SAME_VERSIONS = (
    "install the same versions on both sides (requirements.lock): what is pickled here is read "
    "there"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: in a word. found: in a few words. remedy: what to do; empty if it is well.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def examine(address: str | None = None, storage: str | None = None) -> list[Finding]:
    """Look at the cluster at `address` and its database at `storage` (defaults as for `submit`)."""
    with ThreadPoolExecutor() as threads:  # side by side with what the cluster's inside does
        here, records = threads.submit(_database, storage), threads.submit(_mlflow)
        reached, there = _reached(address)
    mine = here.result()
    findings = [reached, _finding("database", mine), _finding("MLflow", records.result())]
    if isinstance(there, dict):
        return [*findings, *_versions(there), *_inside(there, mine)]
    return findings if there is None else [*findings, Finding("inside", False, "no answer", there)]


def _reached(address: str | None) -> tuple[Finding, dict[str, Any] | str | None]:
    """Whether Ray can be used, and what `probe` saw, or why it saw nothing."""
    try:
        ray = RayJobs(address)
    except SurefootError as error:
        return Finding("Ray", False, "cannot be used", str(error)), None
    reached = Finding("Ray", True, f"{ray.address} answers and takes the token")
    try:
        return reached, _ask(ray)
    except SurefootError as error:
        return reached, str(error)


def probe() -> dict[str, Any]:
    """What `examine` wants to know from inside: run as a Ray job, on the head."""
    home = LocalJobs().folder
    place = next(path for path in (home, *home.parents) if path.exists())
    with ThreadPoolExecutor() as threads:
        database, records = threads.submit(_database, None), threads.submit(_mlflow)
        facts = cluster_facts(_my_versions)
    return {
        "versions": _my_versions(),
        "database": database.result(),
        "mlflow": records.result(),
        "home": str(home),
        "writable": os.access(place, os.W_OK),
        "free_bytes": shutil.disk_usage(place).free,
        **facts,
    }


def _my_versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _SAME}}


def _database(storage: str | None) -> dict[str, Any]:
    """`id` of the database, the same from wherever it is seen; or `error`."""
    try:
        database = ClusterJobs.configured(storage)
        if database is None:
            return {"error": "SUREFOOT_STORAGE_URL is not set"}
        with database.session() as session:
            row = session.execute(
                "select system_identifier::text || '/' || current_database(),"
                " coalesce(has_table_privilege(to_regclass('surefoot_job'), 'insert'),"
                " has_schema_privilege('public', 'create')), current_user"
                " from pg_control_system()"
            ).fetchone()
    except SurefootError as error:
        return {"error": str(error)}
    assert row is not None  # it selects one
    return {"id": row[0], "writes": row[1], "user": row[2], "at": mask(database.url)}


def _mlflow() -> dict[str, Any]:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return {"error": "MLFLOW_TRACKING_URI is not set"}
    try:
        tracking.check(uri)
        tracking.reach(uri)
    except InvalidInput as error:
        return {"error": str(error)}
    return {"at": mask(uri)}


def _finding(what: str, seen: dict[str, Any]) -> Finding:
    if "error" in seen:
        return Finding(what, False, "cannot be used", seen["error"])
    found = f"{seen['at']} answers"
    if seen.get("writes") is False:
        return Finding(
            what, True, f"{found}; user {seen['user']} may only read: no jobs can be submitted"
        )
    return Finding(what, True, found)


def _ask(ray: RayJobs) -> dict[str, Any]:
    """Run `surefoot probe` on the cluster."""
    submission = f"surefoot-doctor-{uuid.uuid4().hex[:12]}"
    ray.submit(submission, "python -m tuning probe")
    deadline = time.monotonic() + _PROBE_SECONDS
    while ray.alive(submission):
        if time.monotonic() > deadline:
            ray.stop(submission)
            raise InvalidInput(
                f"a job did not begin and end within {_PROBE_SECONDS:g} s: look at the cluster's "
                f"dashboard, {ray.address}, and at its head's memory and logs"
            )
        time.sleep(_POLL_SECONDS)
    log = ray.log(submission)
    for line in log.splitlines():
        if line.startswith(PROBED):
            found: dict[str, Any] = json.loads(line.removeprefix(PROBED))
            return found
    last = (log.strip().splitlines() or ["it printed nothing"])[-1]
    last = shorten(last, 200, placeholder=" ...")
    raise InvalidInput(
        f"surefoot does not run on the cluster ({last}): install the version that is here, "
        f"{version('surefoot')}, on every node"
    )


def _versions(there: dict[str, Any]) -> list[Finding]:
    here, head = _my_versions(), there["versions"]
    found = [_compared("head's versions", {"head": head}, here)]
    others = [node for node in there["nodes"] if not node["is_head"]]
    if own := {node["address"]: node["own"] for node in others if node["own"]}:
        found.append(_compared("nodes' versions", own, here))
    return found


def _compared(what: str, places: dict[str, dict[str, str]], here: dict[str, str]) -> Finding:
    """Whether the versions at all `places` are those that are `here`."""
    other = {
        place: [
            f"{name} {versions[name]} there, {here[name]} here"
            for name in here
            if _shown(name, versions[name]) != _shown(name, here[name])
        ]
        for place, versions in places.items()
    }
    differ = [f"{place}: {', '.join(names)}" for place, names in other.items() if names]
    if differ:
        return Finding(what, False, _listed(differ), _SAME_VERSIONS)
    same = next(iter(places.values()))
    return Finding(what, True, f"Python {same['python']}, surefoot {same['surefoot']}, as here")


def _listed(items: Sequence[str]) -> str:
    """The first few of them."""
    more = f"; and {len(items) - _MAX_LISTED} more" if len(items) > _MAX_LISTED else ""
    return "; ".join(items[:_MAX_LISTED]) + more


def _shown(name: str, number: str) -> str:
    """Of Python, only 3.11 of 3.11.14 matters."""
    return ".".join(number.split(".")[:2]) if name == "python" else number


def _inside(there: dict[str, Any], mine: dict[str, Any]) -> list[Finding]:
    theirs = there["database"]
    if "error" not in theirs and "error" not in mine and theirs["id"] != mine["id"]:
        database = Finding(
            "head's database",
            False,
            "not the one that is seen from here",
            "let SUREFOOT_STORAGE_URL name the same database here and where the Ray head runs",
        )
    else:
        database = _finding("head's database", theirs)
    gigabytes = there["free_bytes"] / 1e9
    room = there["writable"] and there["free_bytes"] >= _LEAST_FREE_BYTES
    cpus, free, nodes = there["cpus"], there["free_cpus"], len(there["nodes"])
    return [
        database,
        _finding("head's MLflow", there["mlflow"]),
        Finding(
            "head's disk",
            room,
            f"{gigabytes:.1f} GB free for {there['home']}"
            + ("" if there["writable"] else ", which cannot be written"),
            "" if room else "free some space on the head, or set SUREFOOT_HOME to another folder",
        ),
        Finding(
            "CPUs",
            cpus > 0,
            f"{free:g} of {cpus:g} free, on {nodes} nodes",
            "" if cpus > 0 else "no node has CPUs: start workers (--scale ray-worker=N)",
        ),
        *_nodes(there),
    ]


def _nodes(there: dict[str, Any]) -> list[Finding]:
    """Whether each node answers and objects pass to it and from it; a line for each that fails."""
    size = f"{OBJECT_BYTES / 1e6:g} MB"
    nodes, found = there["nodes"], []
    for node in nodes:
        lacks = [
            *([] if node["argument"] else [f"an argument of {size} does not come to it"]),
            *([] if node["result"] else [f"a result of {size} does not come from it"]),
        ]
        name = f"node {node['address']}"
        if node["error"] is not None:
            error = shorten(node["error"], 150, placeholder=" ...")
            found.append(Finding(name, False, f"does not answer: {error}", _SILENT))
        elif lacks or node["closed"]:
            closed = f"{_listed(node['closed'])} cannot be reached from it"
            said = [*lacks, closed] if node["closed"] else lacks
            found.append(Finding(name, False, "; ".join(said), _why_closed(node, there["head"])))
    every = f"all {len(nodes)} answer; {size} pass to and from each"
    return found or [Finding("nodes", True, every)]


def _why_closed(node: dict[str, Any], head: str | None) -> str:
    """The likely cause, and what to do."""
    hosts = sorted({port.split(":")[0] for port in node["closed"]})
    if not hosts:
        return (
            "its connections open, but much does not pass: look at the MTU on the way, at its "
            "object store's memory, and at its log, raylet.out"
        )
    who = "the head is" if head in hosts else "those are"
    return (
        f"{who} registered under {_listed(hosts)}, where {node['address']} does not get: on a "
        "machine with several networks start Ray with --node-ip-address, its address on the one "
        "that all nodes share; otherwise open the firewall between them"
    )
