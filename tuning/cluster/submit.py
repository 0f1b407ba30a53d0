"""Submitting a job to a cluster."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle

from trainers import InvalidInput, Problem
from trainers._mask import mask
from tuning.analysis.problem_info import plugin_versions, problem_facts
from tuning.cluster import bundle
from tuning.cluster.handle import SubmittedJob, database_at
from tuning.cluster.launch import MAX_COORDINATORS, launch
from tuning.cluster.ray_jobs import RayJobs
from tuning.errors import RayUnreachable
from tuning.jobs.base import slug, trials_known
from tuning.jobs.cluster import ClusterJob
from tuning.jobs.files import BUNDLE, BUNDLE_AT, HEADER, PRIORITY, PROBLEM
from tuning.jobs.pickles import pickled
from tuning.runner.local_api import prepare, sourced
from tuning.spec.job import JobSpec, folder_of

__all__ = ["submit"]

_MAX_OWNER_CHARACTERS = 64


def submit(
    spec: str | Path | Mapping[str, Any] | JobSpec | None = None,
    /,
    *,
    address: str | None = None,
    storage: str | None = None,
    owner: str | None = None,
    announce: Callable[[str], None] | None = None,
    **tables: Any,
) -> SubmittedJob:
    """Have a job carried out on a cluster. Submitting the same job again gives the same one.

    Args:
        spec, tables: as for `tune`.
        address: of the Ray cluster's Jobs API; default: RAY_API_SERVER_ADDRESS.
        storage: of the cluster's database, as postgresql+psycopg://user@host:5432/database;
            default: SUREFOOT_STORAGE_URL.
        owner: default: SUREFOOT_OWNER, or the user's name on this machine.
        announce: called with a line when something happens that people should know.

    Raises:
        InvalidInput: bad input, a wrong address, token or password; nothing has been submitted.
        ProblemFailed: the problem's own code raised.
        RayUnreachable, Unreachable: the cluster does not answer; nothing has been submitted.
    """
    say = announce or _silent
    source, own = sourced(spec, tables)
    checked, problem, remarks = prepare(source, own)
    for line in remarks:
        say(line)
    database = database_at(storage or checked.storage.url)
    who = _owner(owner)
    if (uri := checked.tracking.uri) is not None and mask(uri) != uri:
        raise InvalidInput(
            f"tracking.uri = {mask(uri)!r}: whoever reads the job would see its password; "
            "leave it out, the cluster has MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    ray = RayJobs(address)
    folder = folder_of(spec)
    files, content, table = _files_to_send(checked, problem, folder, own)
    rules, batch_size = checked.search.rules, checked.training.batch_size
    facts = problem_facts(checked.problem.name, problem, rules, batch_size)
    plugins = plugin_versions(checked)
    header = {
        "created": datetime.now(UTC).isoformat(),
        "folder": str(folder),
        "problem": facts,
        "plugins": plugins,
        "table": table,
    }
    job_id = _id(checked, facts, {**files, **plugins}, who)
    # Where the database is, with its password, the cluster knows; whoever reads the job need not.
    spec_there = checked.model_dump(mode="json", exclude={"storage"})
    content[HEADER] = json.dumps({"spec": spec_there, **header}).encode()
    if checked.cluster.priority:
        content[PRIORITY] = str(checked.cluster.priority).encode()
    made = database.add(job_id, who, ray.address, trials_known(checked), content)
    job = ClusterJob(database, job_id)
    entry = job.entry
    if made:
        job.say(f"submitted by {who}")
    else:
        say(f"job {job_id} has been submitted before; it is {entry.state.value}")
    if entry.attempt == 0:  # else the keeper, or whoever submits the same now, was faster
        try:
            if not launch(job, ray, entry) and job.entry.attempt == 0:
                say(f"job {job_id} waits for its turn: {MAX_COORDINATORS} jobs are at work")
        except RayUnreachable as error:
            say(f"{error}; the job is kept and begins when it does")
    return SubmittedJob(job, ray.address)


def _silent(line: str) -> None:
    """Nobody is listening."""


def _owner(owner: str | None) -> str:
    try:
        who = owner or os.environ.get("SUREFOOT_OWNER") or getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user may have a number only
        raise InvalidInput(
            "your name on this machine is not known: give --owner, or set SUREFOOT_OWNER"
        ) from error
    if not who.isprintable() or not 1 <= len(who) <= _MAX_OWNER_CHARACTERS:
        raise InvalidInput(
            f"owner {who!r} is not valid: 1 to {_MAX_OWNER_CHARACTERS} printable characters"
        )
    return who


def _files_to_send(
    spec: JobSpec, problem: Problem, folder: Path, own: Problem | None
) -> tuple[dict[str, str], dict[str, bytes], str | None]:
    """Digests of the files that make the job what it is; the files of the job; its table's name."""
    found, table = bundle.collect(spec, problem, folder)
    marks, content = bundle.digests(found), {}
    if bundle.is_large(found):
        content[BUNDLE_AT] = bundle.put(found, str(spec.cluster.files)).encode()
    elif found:
        content[BUNDLE] = bundle.pack(found)
    if own is not None:
        content[PROBLEM] = pickled(own)
        marks[PROBLEM] = _digest(content[PROBLEM])
    return marks, content, table


def _digest(problem: bytes) -> str:
    """SHA-256 of a pickle without the numbers that cloudpickle draws for the classes of a program
    or notebook: anew in each process, so that the same job would be another one in the next."""
    for drawn in list(cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID):
        problem = problem.replace(drawn.encode(), b"")
    return hashlib.sha256(problem).hexdigest()


def _id(spec: JobSpec, facts: Mapping[str, Any], code: Mapping[str, str], owner: str) -> str:
    """The same for the same job of the same owner, so that it cannot be there twice.

    Args:
        code: the digest of each file that travels with it, the version of each plug-in.
    """
    content = json.dumps([spec.answer_key, facts, code, owner], sort_keys=True)
    return f"{slug(spec.name)}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"
