"""From a PyTorch module to the best stable rate of its optimizers, in one call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from tuning.execution.registry import Workers
from tuning.report.model import Report
from tuning.runner.local_api import tune
from tuning.runner.progress import shown
from tuning.search.loop import Listener
from tuning.spec.job import JobSpec, read_spec

__all__ = ["find_learning_rate"]

_SETTINGS, _RESTARTS = 12, 32  # 384 restarts for each optimizer: a search's default


def find_learning_rate(
    model: Any,
    loss: Callable[..., Any] | None = None,
    data: object = None,
    *,
    training_step: Callable[[Any, Any], Any] | None = None,
    optimizers: Sequence[object] | Callable[..., Any] | Mapping[str, Any] = ("sgd",),
    learning_rate: Mapping[str, float] | tuple[float, float] = (1e-4, 10.0),
    batch_size: int | None = None,
    steps: int = 500,
    settings: int | None = None,
    restarts: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    workers: Workers = None,
    gpus_per_task: float = 0.0,
    home: str | Path | None = None,
    progress: bool | Listener = True,
    search: Mapping[str, Any] | None = None,
    stability: Mapping[str, Any] | None = None,
    **options: Any,
) -> Report:
    """How fast a PyTorch module may learn::

        report = tuning.find_learning_rate(
            model=Net, loss=torch.nn.functional.cross_entropy, data=(X, y),
            optimizers=["sgd", {"name": "adamw", "weight_decay": 0.01}], batch_size=32)
        report.best_stable.learning_rate

    Args:
        model, loss, data, training_step: as `trainers.torch.TorchProblem` has them. `model()` makes
            one fresh module.
        optimizers: of torch.optim by name, as a table with hyperparameters, as a class or a
            `functools.partial`; or a class of one's own. One, or a sequence of them.
        learning_rate: the range that is searched, (low, high).
        batch_size: None for full batch. steps: of each training.
        settings, restarts: how many rates are tried for each optimizer, and from how many starts:
            their product bounds the search (default 12 x 32; with less, nothing is confirmed on
            fresh starts).
        minutes: what search and confirmation may take; the report says what that bought.
        gpus_per_task: what Ray reserves for each task; without, workers train on the CPU.
        workers, home: as for `tuning.tune`. progress: whether it is shown, or who is told.
        search, stability: more of these tables of a job file.
        options: more of `TorchProblem`: scheduler, clip_norm, parameter_groups, validation, ...

    Raises:
        InvalidInput: what cannot be trained, in one line; nothing has been started.
        ProblemFailed: the module raised while it was trained.
    """
    try:
        from trainers.torch import TorchProblem, as_entries
    except ModuleNotFoundError as error:
        raise InvalidInput(str(error)) from error
    if isinstance(optimizers, str | Mapping) or callable(optimizers):
        optimizers = [optimizers]
    entries, own = as_entries(optimizers)
    valid = list(inspect.signature(TorchProblem).parameters)
    for key in options:
        if key not in valid:
            raise InvalidInput(f"unknown argument {key!r}{nearest(key, valid)}")
    problem = TorchProblem(
        model, loss, data, training_step=training_step, optimizers=own, **options
    )
    job: dict[str, Any] = {
        "name": problem.name,
        "seed": seed,
        "problem": {"name": problem.reference},
        "search": {
            "optimizers": entries,
            "learning_rate": _range(learning_rate),
            **(search or {}),
        },
        "training": {"steps": steps, "batch_size": batch_size},
        "stability": dict(stability or {}),
        "budget": {} if minutes is None else {"minutes": minutes},
        "cluster": {"gpus_per_task": gpus_per_task},
    }
    _bound(job, read_spec(job), settings, restarts)
    spec = read_spec(job)
    display: AbstractContextManager[Listener | None]
    if isinstance(progress, bool):
        console = Console(stderr=True, highlight=False)
        display = shown(console, spec) if progress else nullcontext()
    else:
        display = nullcontext(progress)
    with display as listen:
        return tune(**{**job, "problem": problem}, workers=workers, home=home, progress=listen)


def _range(given: object) -> dict[str, Any]:
    """As a job file has it, which says what is wrong with its numbers."""
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InvalidInput(f"learning_rate = {given!r} is not valid; a range, as (1e-4, 10.0)")
    return {"low": given[0], "high": given[1]}


def _bound(job: dict[str, Any], spec: JobSpec, settings: int | None, restarts: int | None) -> None:
    """Put the size of the search into `job`, of which `spec` says what else it is."""
    given: dict[str, object] = {"settings": settings, "restarts": restarts}
    for what, value in given.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise InvalidInput(f"{what} = {value!r} is not valid; a whole number from 1")
    count, each = settings or _SETTINGS, restarts or _RESTARTS
    size = len(spec.search.optimizers) * count
    if not spec.seeks_cliff:
        job["search"]["settings"], job["training"]["restarts"] = size, each
        return
    size *= each
    if size != spec.default_restarts:
        small = size < spec.default_restarts
        job["budget"]["restarts"] = size if small else size + spec.confirmation_restarts
