"""What a report and MLflow keep of a module and its training."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from trainers.torch.problem import TorchProblem

__all__ = ["facts_of"]


def facts_of(problem: TorchProblem) -> dict[str, Any]:
    """Plain JSON.

    `trained_with`: what is not in the optimizer's line, in words. `code_sha256`: of the source of
    what the user wrote, as far as it can be read; another version of the model has another.
    """
    module = problem.objective.module
    extras = {
        f"gradients clipped to the norm {problem.clip_norm or 0:g}": problem.clip_norm,
        f"the schedule {_named(problem.scheduler)}": problem.scheduler,
        f"the parameter groups of {_named(problem.parameter_groups)}": problem.parameter_groups,
    }
    return {
        "library": f"PyTorch {torch.__version__}",
        "model": problem.name,
        "architecture": str(module),
        "dtype": str(problem.dtype).removeprefix("torch."),
        "starts_differ": problem.starts_differ,
        "dropout": problem.trials.draws,
        "trained_with": [words for words, given in extras.items() if given is not None],
        "code_sha256": _digest([type(module), *problem.sources()]),
    }


def _named(function: object) -> str:
    inner = function.func if isinstance(function, partial) else function
    return str(getattr(inner, "__name__", type(inner).__name__)).replace("<lambda>", "given")


def _digest(sources: Iterable[object]) -> str:
    found = hashlib.sha256()
    for source in sources:
        inner: Any = source.func if isinstance(source, partial) else source
        try:
            found.update(inspect.getsource(inner).encode())
        except (OSError, TypeError):  # of an interactive session, or no class and no function
            found.update(_named(inner).encode())
    return found.hexdigest()
