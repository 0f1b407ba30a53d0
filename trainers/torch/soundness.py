"""Whether the loss is one function of what is trained, on a few examples."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch.func import functional_call

from trainers.errors import InvalidInput
from trainers.torch.complaints import complaint
from trainers.torch.deciding import attempted
from trainers.torch.examples import mapped
from trainers.torch.objective import Objective, measuring_copy
from trainers.torch.randomness import seeded

if TYPE_CHECKING:
    from trainers.torch.problem import TorchProblem

__all__ = ["check_soundness"]


def check_soundness(problem: TorchProblem, batch: Any) -> tuple[bool, str | None]:
    """Whether J draws random numbers though dropout is off; and the attribute in which a module
    remembers its calls, other than a buffer, so that a second one gives another loss.

    Raises:
        InvalidInput: it draws by another generator than torch's; or it starts with something else
            under each seed that is neither trained nor seen; or the loss spreads its targets.
    """
    name, objective = problem.name, problem.objective
    judged = measuring_copy(objective)
    with seeded(0):
        before = torch.get_rng_state()
        first = attempted(lambda: judged(batch).detach())
        draws = not torch.equal(before, torch.get_rng_state())
    if isinstance(first, Exception):
        raise complaint(f"{name} in eval mode", first, batch) from first
    remembers = None
    for mode in (measuring_copy, copy.deepcopy):
        used = mode(objective)
        once, fresh = (_loss(o, batch) for o in (used, mode(objective)))
        if not _same(once, fresh):
            raise InvalidInput(
                f"{name}: after torch.manual_seed(0) the loss is another each time: draw random "
                "numbers by torch alone, not by NumPy or random"
            )
        if not _same(once, _loss(used, batch)):
            remembers = _changed(mode(objective), used)
    other = problem.builder.objective(1).to(problem.device, problem.dtype)
    here = dict(problem.objective.named_parameters())
    trained = {n: here[n] for n in problem.layout.names}
    moved = measuring_copy(other)
    moved.changes_input = problem.objective.changes_input
    with seeded(0):
        elsewhere = functional_call(moved, trained, (batch,)).detach()
    if not _same(first, elsewhere):
        raise InvalidInput(
            f"{name}: with the same parameters it has another loss when it was made under another "
            "seed: what is no parameter is random; draw it from a seed of its own, or train it"
        )
    _check_spread(name, measuring_copy(objective), mapped(torch.clone, batch))
    return draws, remembers


def _loss(objective: Objective, batch: Any) -> torch.Tensor:
    """Drawn from one seed, with the buffers that it starts with."""
    buffers = {name: b.clone() for name, b in objective.named_buffers()}
    with seeded(0):
        return functional_call(objective, buffers, (batch,)).detach()


def _changed(before: Objective, after: Objective) -> str:
    """The plain attribute that is no more what it was."""
    for (name, old), new in zip(before.named_modules(), after.modules(), strict=True):
        for key, value in vars(new).items():
            was = vars(old).get(key)
            both = (value, was)
            if all(isinstance(v, torch.Tensor) for v in both):
                same = torch.equal(*both)
            else:
                same = not isinstance(value, int | float | str | tuple) or value == was
            if not (key.startswith("_") or same):
                return ".".join([*name.split(".")[1:], key])
    return "of its own"


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b) or bool(a.isnan().all() and b.isnan().all())


def _check_spread(name: str, objective: Objective, batch: Any) -> None:
    """Refuse (N, 1) against (N,), where arithmetic makes (N, N) of them and the loss differs from
    that of the same numbers in one shape."""
    loss = objective.loss
    if loss is None:
        return
    *inputs, target = batch
    with seeded(0):
        out = objective.module(*inputs)
        if not isinstance(out, torch.Tensor) or not isinstance(target, torch.Tensor):
            return
        if out.shape == target.shape or len(target) < 2 or not target.is_floating_point():
            return
        if {out.shape, target.shape} != {target.shape[:1], (*target.shape[:1], 1)}:
            return
        spread = loss(out, target)
        plain = attempted(lambda: loss(out.reshape(target.shape), target))
    if isinstance(plain, torch.Tensor) and not torch.allclose(plain, spread):
        raise InvalidInput(
            f"{name}: the module gives {tuple(out.shape)} and the targets are "
            f"{tuple(target.shape)}, of which the loss makes {len(target)} x {len(target)} pairs: "
            "give targets in the module's shape, as y[:, None]"
        )
