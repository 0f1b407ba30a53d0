"""What cannot be trained is refused in one line that says what is valid, and never by PyTorch."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainers.errors import InvalidInput
from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import starts
from trainers.training import train

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from torch import nn  # noqa: E402

from tests.trainers.torch.modules import (  # noqa: E402
    CNN,
    MLP,
    BatchNorm,
    Words,
    classes,
    codes,
    images,
)
from trainers.torch import TorchProblem  # noqa: E402

functional = torch.nn.functional
CROSS_ENTROPY = functional.cross_entropy
X, Y = classes()
LONG = 48 * [0]
LONG[40] = 3  # not among the first that are tried


class Regression(MLP):
    """One output, (N, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 1))


class WithArguments(MLP):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, width))


class Broken(MLP):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(6, "three")


class Lazy(MLP):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.LazyLinear(3)


class Empty(nn.Module):
    def forward(self, x: Any) -> Any:
        return x


class Frozen(MLP):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class RandomBuffer(MLP):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("noise", torch.randn(6))

    def forward(self, x: Any) -> Any:
        return self.net(x + self.noise)


class RandomAttribute(MLP):
    def __init__(self) -> None:
        super().__init__()
        self.noise = torch.randn(6)

    def forward(self, x: Any) -> Any:
        return self.net(x + self.noise)


class ByNumPy(MLP):
    def __init__(self) -> None:
        super().__init__()
        weights = np.random.standard_normal((8, 6))  # noqa: NPY002
        self.net[0].weight.data.copy_(torch.tensor(weights))


class NoiseByNumPy(MLP):
    def forward(self, x: Any) -> Any:
        return self.net(x + random.gauss(0, 1))


class Table(torch.utils.data.Dataset):
    def __init__(self, examples: list[Any]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> Any:
        return self.examples[i]


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self) -> Any:
        return iter([(X[0], Y[0])])


def make(**changed: Any) -> Callable[[], TorchProblem]:
    given = {"model": MLP, "loss": CROSS_ENTROPY, "data": (X, Y)} | changed
    return functools.partial(TorchProblem, **given)


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "float labels": (make(data=(X, Y.float())), "labels must be whole numbers, as y.long()"),
    "a label too large": (
        make(data=(X, np.array(LONG))),
        "index 3 is out of bounds for dimension 2 with size 3; labels are 0 to classes - 1",
    ),
    "a label too large in validation": (
        make(validation=(X, np.array(LONG))),
        "validation: MLP on a batch of",
    ),
    "a word too large": (
        make(model=Words, data=(codes()[0] + torch.tensor(LONG)[:, None], Y)),
        "an Embedding is given are 0 to its size - 1",
    ),
    "labels (N, 1)": (make(data=(X, Y[:, None])), "MLP on a batch of float32 (32, 6), int64"),
    "mse of (N, 1) and (N,)": (
        make(model=Regression, loss=functional.mse_loss, data=(X, X[:, 0])),
        "target size (torch.Size([32])) that is different to the input size (torch.Size([32, 1]))",
    ),
    "a square of (N, 1) and (N,)": (
        make(model=Regression, loss=lambda p, y: ((p - y) ** 2).mean(), data=(X, X[:, 0])),
        "of which the loss makes 32 x 32 pairs: give targets in the module's shape, as y[:, None]",
    ),
    "lengths": (make(data=(X, Y[:40])), "data has shapes (48, 6), (40,); each must begin with"),
    "no examples": (make(data=(X[:0], Y[:0])), "at least 1"),
    "a number": (make(data=(X, 3)), "each must begin with the number of examples"),
    "one tensor": (make(data=X), "data must be (inputs, target), or give training_step="),
    "nothing": (make(data=None), "data is missing; give (inputs, target), or a Dataset"),
    "NaN": (make(data=(X * float("nan"), Y)), "data holds NaN or infinity; fill or drop"),
    "words": (make(data=(np.array(48 * ["a"]), Y)), "data holds a ndarray of <U1; give tensors"),
    "objects": (make(data=(np.array(48 * [None]), Y)), "data holds a ndarray of object"),
    "whole numbers as inputs": (
        make(data=((X * 9).int(), Y)),
        "give inputs as real numbers, as x.float() / 255",
    ),
    "bytes as images": (
        make(model=CNN, data=((images()[0] * 9).to(torch.uint8), images()[1])),
        "give inputs as real numbers, as x.float() / 255",
    ),
    "whole targets": (
        make(
            model=Regression,
            loss=functional.binary_cross_entropy_with_logits,
            data=(X, Y[:, None]),
        ),
        "give targets as real numbers, as y.float()",
    ),
    "columns": (make(data=(X[:, :5], Y)), "mat1 and mat2 shapes cannot be multiplied"),
    "no reduction": (
        make(loss=nn.CrossEntropyLoss(reduction="none")),
        "the loss is torch.float32 of shape (32,); return one number, the mean over the batch",
    ),
    "a float": (make(loss=lambda p, _: float(p.detach().mean())), "the loss is a float; return a"),
    "None": (make(loss=lambda *_: None), "the loss is a NoneType; return a tensor"),
    "a class": (make(loss=nn.CrossEntropyLoss), "loss is the class CrossEntropyLoss; give"),
    "a constant": (
        make(loss=lambda p, _: p.detach().mean()),
        "the loss does not depend on any trained parameter",
    ),
    "a name": (make(loss="cross_entropy"), "loss is a str; give a function"),
    "no loss": (make(loss=None), "loss is missing, and MLP has no training_step; give one"),
    "both": (make(training_step=lambda m, b: m(b)), "give loss or training_step, not both"),
    "infinite": (make(loss=lambda p, _: p.mean() / 0), "where it starts: the loss must be finite"),
    "arguments": (
        make(model=WithArguments),
        "missing 1 required positional argument: 'width'; give a function without arguments, as "
        "lambda: WithArguments(...)",
    ),
    "broken": (make(model=Broken), "model Broken() at line"),
    "no module": (make(model=dict), "model dict() made a dict, no torch.nn.Module"),
    "no model": (make(model=3), "model is a int; give a class or function without arguments"),
    "lazy": (make(model=Lazy), "lazy layers, whose shapes are not known before data"),
    "no parameters": (make(model=Empty), "Empty has no parameters to train"),
    "frozen": (make(model=Frozen), "Frozen has no parameters to train"),
    "random buffer": (
        make(model=RandomBuffer),
        "RandomBuffer: noise, which is not trained, starts",
    ),
    "random attribute": (make(model=RandomAttribute), "what is no parameter is random"),
    "start by NumPy": (make(model=ByNumPy), "draw its start by torch's global generator alone"),
    "noise by Python": (make(model=NoiseByNumPy), "draw random numbers by torch alone"),
    "stream": (make(data=Stream()), "data is a Stream, an IterableDataset: every restart"),
    "stream in a loader": (
        make(data=torch.utils.data.DataLoader(Stream())),
        "an IterableDataset: every restart",
    ),
    "empty Dataset": (make(data=Table([])), "data is a Table without examples"),
    "Dataset of dicts": (
        make(data=Table([{"x": x, "y": y} for x, y in zip(X, Y, strict=True)])),
        "or give training_step=lambda module, batch: ... in place of loss: a batch is a dict",
    ),
    "Dataset of lengths": (
        make(data=Table([(torch.zeros(n), 0) for n in (2, 3)])),
        "whose examples cannot be collated into tensors",
    ),
    "dtype": (make(dtype="float23"), "dtype = 'float23' is not valid; float32, float64, bfloat16"),
    "device": (make(device="gpu"), "device = 'gpu' is not valid; auto, cpu, cuda are"),
    "together": (make(together="yes"), "together = 'yes' is not valid; auto, always, never are"),
    "clip_norm": (make(clip_norm=0), "clip_norm = 0 is not valid; it must be above 0"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line(case: str) -> None:
    made, said = CASES[case]
    with pytest.raises(InvalidInput) as refused:
        made()
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def a_group_of_none(*_: Any) -> list[dict[str, Any]]:
    return [{"params": []}]


def one_cycle(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=5)


TRAINED: dict[str, tuple[Callable[[], TorchProblem], str, int | None, str]] = {
    "batch of one": (make(model=BatchNorm), "sgd", 1, "batches of at least 2 examples"),
    "two dimensions": (make(), "muon", 16, "MLP by muon"),
    "sparse": (make(), "sparseadam", 16, "SparseAdam does not support dense gradients"),
    "no groups": (make(parameter_groups=a_group_of_none), "sgd", 16, "chose none of the module's"),
    "momentum of a cycle": (
        make(scheduler=one_cycle),
        "adagrad",
        16,
        "optimizer must support momentum",
    ),
    "end of a cycle": (
        make(scheduler=one_cycle),
        "adam",
        16,
        "scheduler: OneCycleLR: Tried to step",
    ),
    "no scheduler": (
        make(scheduler=lambda _: 3),
        "sgd",
        16,
        "'int' object has no attribute 'step'",
    ),
    "NumPy's": (make(), "gd", 16, "unknown optimizer 'gd' of PyTorch; write sgd"),
}


@pytest.mark.parametrize("together", ["auto", "never"])
@pytest.mark.parametrize("case", TRAINED)
def test_one_line_before_or_in_training(case: str, together: Any) -> None:
    made, name, batch_size, said = TRAINED[case]
    problem = made()
    problem.together = together
    w = starts(problem, restarts=3)
    with pytest.raises(InvalidInput) as refused:
        train(problem, TorchRule.of(name, {}), learning_rate=0.1, starts=w, steps=10,
              batch_size=batch_size)  # fmt: skip
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def test_rates_of_their_own() -> None:
    problem = make()()
    with pytest.raises(InvalidInput, match="PyTorch's optimizers have one rate; give a number"):
        train(problem, TorchRule.of("sgd", {}), learning_rate=np.array([0.1, 0.2]),
              starts=starts(problem, restarts=2), steps=2)  # fmt: skip


NAMES: dict[str, tuple[str, dict[str, Any], str]] = {
    "typo": ("torch:adamx", {}, "did you mean 'adam"),
    "beta1": (
        "torch:adamw",
        {"beta1": 0.9},
        "unknown hyperparameter 'beta1'; did you mean 'betas'",
    ),
    "lr": ("torch:adamw", {"lr": 0.9}, "adamw: lr is what is searched; drop it"),
    "gd": ("gd", {}, "unknown optimizer 'gd' of PyTorch; write sgd"),
    "momentum": ("momentum", {}, 'write { name = "sgd", momentum = 0.9 }'),
    "nesterov": ("nesterov", {}, 'write { name = "sgd", momentum = 0.9, nesterov = true }'),
    "negative": ("sgd", {"momentum": -1.0}, "sgd(momentum=-1): Invalid momentum value: -1.0"),
    "nesterov alone": ("sgd", {"nesterov": True}, "Nesterov momentum requires a momentum"),
    "a word": ("adamw", {"weight_decay": "high"}, "adamw(weight_decay=high): "),
    "one beta": ("adamw", {"betas": [0.9]}, "adamw(betas=(0.9)): "),
    "beta of 1": ("adam", {"betas": [0.9, 1.0]}, "Invalid beta parameter at index 1: 1.0"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_and_hyperparameters(case: str) -> None:
    name, hyperparameters, said = NAMES[case]
    with pytest.raises(InvalidInput) as refused:
        make()().trainer().full_name(name, hyperparameters)
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "given",
    [
        (X.half(), Y),
        (X.half().numpy().astype(np.float64), Y.to(torch.int32)),
        (X.half().numpy(), Y.to(torch.uint8).numpy()),
        [X.half(), Y],
        Table(list(zip(X.half(), Y.tolist(), strict=True))),
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X.half(), Y), batch_size=4),
    ],
    ids=["half", "double", "bytes as labels", "list", "Dataset", "DataLoader"],
)
def test_data_of_other_kinds_are_cast(given: Any) -> None:
    """Half a number is exact in single precision, so the losses are the same."""
    problem, plain = make(data=given)(), make(data=(X.half().float(), Y))()
    w = starts(plain, restarts=2)
    np.testing.assert_array_equal(problem.loss_and_gradient(w)[0], plain.loss_and_gradient(w)[0])
