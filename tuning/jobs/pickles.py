"""Problems that were given as objects, as they are kept with their jobs."""

from __future__ import annotations

import pickle
from pathlib import Path

import cloudpickle

from trainers import Problem, ProblemFailed
from tuning.errors import InvalidInput
from tuning.execution.in_process import user_code
from tuning.spec.own_modules import look_in

__all__ = ["pickled", "unpickled"]


def pickled(problem: Problem) -> bytes:
    """What is kept of `problem`.

    Raises:
        InvalidInput: it cannot be pickled.
    """
    try:
        return bytes(cloudpickle.dumps(problem))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InvalidInput(
            f"problem {type(problem).__name__} cannot be pickled ({why}); it must be, to be kept "
            "with its job and sent to the workers: leave out what cannot"
        ) from error


def unpickled(stored: bytes, job_id: str, name: str, folder: Path) -> Problem:
    """The problem of which `stored` was kept.

    Args:
        name: of the problem, for people. folder: where the job was made, and perhaps its module is.

    Raises:
        InvalidInput: its module is not found, no longer has it, or raises; or `stored` is damaged.
    """
    look_in(folder)
    try:
        with user_code():
            problem: Problem = cloudpickle.loads(stored)
    except ProblemFailed as failed:
        why = f"{type(failed.__cause__).__name__}: {failed.__cause__}".splitlines()[0]
        raise InvalidInput(
            f"job {job_id}: its problem, {name}, cannot be read ({why}); have its module found as "
            f"it was when the job was made in {folder}: PYTHONPATH"
        ) from failed
    return problem
