"""A module of one's own, with its loss and data, as a problem."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from trainers.errors import InvalidInput
from trainers.optimizers.base import UpdateRule
from trainers.problem import FloatArray, IntArray, Problem
from trainers.torch.building import Builder
from trainers.torch.complaints import complaint
from trainers.torch.deciding import attempted
from trainers.torch.device import check_here, device_here, valid_wish
from trainers.torch.examples import Examples
from trainers.torch.facts import facts_of
from trainers.torch.measure import Measure
from trainers.torch.memory import judging_bytes, training_bytes
from trainers.torch.objective import Layout, plain_kernels
from trainers.torch.optimizers import Factory, Library
from trainers.torch.randomness import drawn_seed, module_seed
from trainers.torch.recipe import Recipe
from trainers.torch.trainer import TorchTrainer
from trainers.torch.trials import Trials
from trainers.training.trainer import Trainer

__all__ = ["TorchProblem"]

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


# A gradient on all examples costs as much as a hundred steps by mini-batches: at 250 of them, as
# small networks in NumPy have, judging a convolutional one took thirty trainings. Its labels were
# the same at 50 (digits, sgd and adam at three rates); at 25 no bottom was known.
_LEAST_JUDGING = 50
# Operations from which on rows are evaluated one by one: there is nothing to save any more, and
# convolutions of many rows at once are slower.
_TOGETHER_BELOW = 2e7


class TorchProblem(Problem):
    """The loss of a PyTorch module over its trained parameters; every start is a fresh module.

    Args:
        model: makes one, called without arguments: a class, or a function. A module itself stands
            for its own weights (a checkpoint): then every restart begins there.
        loss: of (module(*inputs), target), the mean over a batch, as `torch.nn.functional` has it.
        data: (inputs, target), tensors or arrays of N rows, or a map-style Dataset.
        training_step: of (module, batch), returning the loss, in place of `loss`, as Lightning has
            it; of a LightningModule, its own.
        validation: more of the same, not trained on.
        dtype: float32, float64 or bfloat16, in which is trained. Judged is in double.
        device: "cpu", "cuda", or "auto": a GPU where there is one. Decided where it trains: it may
            be made on a machine without.
        together: whether restarts are trained at once: "auto" tries whether that gives the same,
            "always" insists, "never" trains them one by one.
        compile: whether the stacked step goes through torch.compile.
        clip_norm: each restart's gradient is shortened to this norm.
        parameter_groups: of (module, lr), a list of dicts as torch.optim takes them.
        scheduler: of the optimizer, a torch.optim.lr_scheduler; stepped after every step. The
            searched rate is its base rate.
        optimizers: more of them by name: classes, or functions of (params, lr).

    J is the loss on all examples without dropout; layers of batch normalisation normalise by the
    batch, as in training.

    Raises:
        InvalidInput: what cannot be trained, in one line.
    """

    def __init__(
        self,
        model: Callable[[], nn.Module] | nn.Module,
        loss: Callable[..., torch.Tensor] | None = None,
        data: object = None,
        *,
        training_step: Callable[[nn.Module, Any], torch.Tensor] | None = None,
        validation: object = None,
        dtype: str | torch.dtype = "float32",
        device: str = "auto",
        together: Literal["auto", "always", "never"] = "auto",
        compile: bool = False,
        clip_norm: float | None = None,
        parameter_groups: Callable[..., list[dict[str, Any]]] | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        optimizers: Mapping[str, Factory] | None = None,
    ) -> None:
        name = str(dtype).removeprefix("torch.")
        if name not in _DTYPES:
            raise InvalidInput(f"dtype = {name!r} is not valid; {', '.join(_DTYPES)} are")
        if together not in ("auto", "always", "never"):
            raise InvalidInput(f"together = {together!r} is not valid; auto, always, never are")
        if clip_norm is not None and not 0 < clip_norm < float("inf"):
            raise InvalidInput(f"clip_norm = {clip_norm!r} is not valid; it must be above 0")
        if data is None:
            raise InvalidInput("data is missing; give (inputs, target), or a Dataset")
        self.dtype, self._wish = _DTYPES[name], valid_wish(device)
        self.together, self.compile, self.clip_norm = together, compile, clip_norm
        self.parameter_groups, self.scheduler = parameter_groups, scheduler
        self.library = Library(optimizers or {})
        self.builder = Builder.of(model, loss, training_step)
        self._given = Examples(data)
        self._held_out = None if validation is None else Examples(validation)
        self.examples = self._given.count
        self.least_judging = _LEAST_JUDGING
        with plain_kernels():
            self._prepare()
            self._check_all()

    def _prepare(self) -> None:
        self.device = device_here(self._wish)
        self.data = self._given.of(self.dtype, self.device)
        self.objective = self.builder.objective(0).to(self.device, self.dtype).train()
        self.layout = Layout.of(self.objective)
        self.parameters = sum(self.layout.sizes)
        self.trials = Trials(self)
        first, second = self.trials.two_starts()
        self.starts_differ = not torch.equal(first, second)

    def _check_all(self) -> None:
        """Refuse what is wrong with examples that are not among the first few."""
        both = self.trials.two_starts()
        parts = {"data": self.data}
        if self._held_out is not None:
            parts["validation"] = self._held_out.of(self.dtype, self.device)
        for what, part in parts.items():
            losses = attempted(partial(self.measure.losses, both, part.tensors))
            if isinstance(losses, Exception):
                raise complaint(f"{what}: {self.name}", losses, part.tensors) from losses
            if not np.isfinite(losses).any():
                raise InvalidInput(
                    f"{what}: {self.name} has a loss of {losses[0]} where it starts: the loss must "
                    "be finite there"
                )

    def __getstate__(self) -> dict[str, Any]:
        # Made again where it arrives: the functions of vmap cannot be pickled, and there may be a
        # GPU there and none here, or none there.
        here = ("measure", "double", "device", "data")
        state = {k: v for k, v in vars(self).items() if k not in here}
        if self.device.type != "cpu":
            state["objective"] = copy.deepcopy(self.objective).cpu()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.device = device_here(self._wish)
        self.data = self._given.of(self.dtype, self.device)
        self.objective = self.objective.to(self.device)

    @property
    def needs_gpu(self) -> bool:
        """See `Problem`."""
        return self._wish == "cuda"

    def check_here(self) -> None:
        """See `Problem`."""
        check_here(self._wish)

    @property
    def name(self) -> str:
        """The module's."""
        return self.builder.name

    @cached_property
    def measure(self) -> Measure:
        """J."""
        small = self.trials.flops * self._given.count < _TOGETHER_BELOW
        return Measure(
            self.objective,
            self.layout,
            together=small and self.trials.can_be_measured_together,
            row_bytes=self.trials.kept_bytes * self._given.count,
            draws=self.trials.judged_draws,
            remembers=self.trials.remembers is not None,
        )

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """See `Problem`."""
        return self.start(drawn_seed(rng))

    def start(self, seed: int) -> FloatArray:
        """The parameters (P,) of the module that `torch.manual_seed(seed)` gives."""
        module = self.builder.objective(seed).to(self.dtype)
        return self.layout.flat(module).double().numpy()

    def loss_and_gradient(self, w: FloatArray, batch: IntArray | None = None) -> tuple[Any, Any]:
        """See `Problem`; in the precision in which is trained."""
        examples = self.data.tensors if batch is None else self.data.batch(torch.as_tensor(batch))
        with plain_kernels():
            return self.measure.losses_and_gradients(self._rows(w), examples)

    def hessian_product(self, w: FloatArray, v: FloatArray) -> Any:
        """See `Problem`: by two backward passes; None where there is no second."""
        with plain_kernels():
            if not self.trials.has_products(together=self.measure.together):
                return None
            return self.measure.products(self._rows(w), self._rows(v), self.data.tensors)

    def validation_loss(self, w: FloatArray) -> FloatArray | None:
        """See `Problem`."""
        if self._held_out is None:
            return None
        held_out = self._held_out.of(self.dtype, self.device)
        with plain_kernels():
            return self.measure.losses(self._rows(w), held_out.tensors).astype(np.float64)

    def _rows(self, w: FloatArray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(w), dtype=self.dtype, device=self.device)

    @cached_property
    def double(self) -> TorchProblem | None:
        """The same in double precision, on the CPU; None where the module cannot be."""
        if self.dtype == torch.float64:
            return self
        other = copy.copy(self)
        for key in ("measure", "double"):
            vars(other).pop(key, None)
        other.dtype, other._wish = torch.float64, "cpu"
        try:
            with plain_kernels():
                other._prepare()
        except InvalidInput:
            return None
        return other

    def in_float64(self) -> Problem:
        """See `Problem`."""
        return self.double or self

    def trainer(self) -> Trainer:
        """See `Problem`."""
        return TorchTrainer(self.library)

    def recipe(self, rule: UpdateRule, rate: float) -> Recipe:
        """How it is trained by `rule`."""
        return Recipe(
            self.objective,
            self.layout,
            self.library.factory(rule),
            rate,
            self.parameter_groups,
            self.scheduler,
            self.clip_norm,
            draws=self.trials.draws,
            backward_inside=self.trials.backward_inside,
            compile=self.compile,
        )

    def flops(self) -> float:
        """See `Problem`; of all examples. What PyTorch itself costs, about as much as 200,000
        operations for each step of a small module, is in it."""
        return self.trials.flops * self._given.count + 2e5

    def how_to_start(self, seed: int, restart: int) -> str | None:
        """See `Problem`."""
        # A function may give its class what we do not know.
        making = self.name if isinstance(self.builder.make, type) else "model"
        drawn = f"torch.manual_seed({module_seed(seed, restart)}); {making}()"
        return drawn if self.starts_differ else None

    @property
    def reference(self) -> str:
        """See `Problem`: the module's."""
        return f"{type(self.objective.module).__module__}:{self.name}"

    def facts(self) -> dict[str, Any]:
        """See `Problem`."""
        return facts_of(self)

    def restart_bytes(self, rule: UpdateRule, batch_size: int | None) -> float:
        """See `Problem`."""
        return max(training_bytes(self, rule, batch_size), judging_bytes(self))

    def sources(self) -> list[object]:
        """See `Problem`."""
        given: list[object] = [self.builder.make, self.builder.loss, self.builder.training_step]
        given += [self.scheduler, self.parameter_groups, *self.library.own.values()]
        return [what for what in given if what is not None]
