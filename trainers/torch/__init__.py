"""Training by PyTorch: a module of one's own, by the optimizer that one's script uses.

Come in by `TorchProblem`. Imported only when used, for PyTorch takes seconds and need not be
installed: `pip install surefoot[torch]`.

`objective` is a module's loss as a function of one flat vector; `examples` its data. There are two
`Stepper`s: `stacked`, all restarts at once by vmap, and `one_by_one`, an ordinary loop, and
`deciding` which is right. `optimizers` knows PyTorch's.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "PyTorch is not installed, and it trains this problem: pip install 'surefoot[torch]'",
        name="torch",
    ) from error

from trainers.torch.optimizers import as_entries
from trainers.torch.problem import TorchProblem
from trainers.torch.randomness import module_seed, step_seed

__all__ = ["TorchProblem", "as_entries", "module_seed", "step_seed"]
