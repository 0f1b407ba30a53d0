"""Whether many restarts can be trained at once: tried, two restarts for two steps, both ways."""

from __future__ import annotations

import itertools
import linecache
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from trainers.problem import RealArray
from trainers.torch.objective import Objective
from trainers.torch.one_by_one import OneByOne
from trainers.torch.stacked import Stacked

T = TypeVar("T")

__all__ = [
    "Seen",
    "attempted",
    "first_difference",
    "last_layer",
    "same",
    "two_steps",
    "users_line",
    "why_refused",
]

_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple(Path(sysconfig.get_path(of)) for of in ("purelib", "platlib", "stdlib"))
_EXACT, _SINGLE = 1e-9, 1e-4


@dataclass(frozen=True)
class Seen:
    """What was seen in one step: loss and gradient before it, buffers and weights after it."""

    loss: RealArray
    gradient: RealArray
    buffers: dict[str, RealArray]
    w: RealArray


def two_steps(stepper: Stacked | OneByOne) -> list[Seen]:
    """Taken, and looked at."""
    seen = []
    for _ in range(2):
        loss, gradient = stepper.look().copy(), stepper.gradient.copy()
        stepper.step()
        buffers = {name: b.numpy(force=True).copy() for name, b in stepper.buffers.items()}
        seen.append(Seen(loss, gradient, buffers, stepper.w.copy()))
    return seen


def first_difference(together: list[Seen], alone: list[Seen]) -> str | None:
    """What came out otherwise together than one by one, in words, or None."""
    for here, there in zip(together, alone, strict=True):
        if not same(here.loss, there.loss):
            return "has other losses so: what its forward changes must be buffers, in place"
        if not same(here.gradient, there.gradient):
            return "has other gradients so"
        for name, values in here.buffers.items():
            if not same(values, there.buffers[name]):
                inside = name.removeprefix("module.")
                return f"has other values of its buffer {inside} so: change it in place"
        if not same(here.w, there.w):
            return "is moved otherwise by the optimizer, which does not go number by number"
    return None


def same(a: Any, b: Any) -> bool:
    """Whether they are equal but for rounding."""
    exact = a.dtype != np.float32
    scale = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    tolerance = _EXACT if exact else _SINGLE
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


def attempted(work: Callable[[], T]) -> T | Exception:
    """What it gives, or whatever vmap or the user's code raises: the one place that catches it."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - any error may be a refusal
        return error


def why_refused(error: Exception, layer: str) -> str:
    """Why vmap refused, in words: the line of the model that it refused, or the layer."""
    text, line = " ".join(str(error).split()).rstrip("."), users_line(error)
    # PyTorch says the same of `.item()` and of `if`, which asks for it.
    marks = ".item()" if ".item()" in (line or "") else text
    known = next((advice for mark, advice in _ADVICE if mark in marks), None)
    why = known or f"raised {type(error).__name__}: {text[:160]}"
    within = f"layer {layer}, " if layer and _in_a_layer(error) else ""
    return f"{within}{line or ''} {why}".strip()


_ADVICE = (
    ("data-dependent control flow", "depends on data: use torch.where"),
    (".item()", "takes a number out of a tensor: keep it a tensor"),
    ("boolean mask", "selects by a mask, whose shape depends on data: use torch.where"),
    ("nonzero", "has a shape that depends on data: use torch.where"),
    ("dynamic shape", "has a shape that depends on data: use torch.where"),
    ("vmap: inplace", "changes in place a tensor that all restarts share: use an expression"),
    ("randomness", "draws random numbers in a way of its own: use torch.nn.Dropout"),
)


def _in_a_layer(error: Exception) -> bool:
    """Whether it came from a layer that the user's line calls, and not from that line itself."""
    frames = traceback.extract_tb(error.__traceback__)
    after = itertools.takewhile(lambda frame: not _is_users(frame), reversed(frames))
    return any(frame.name == "_call_impl" for frame in after)


def _is_users(frame: traceback.FrameSummary) -> bool:
    path = Path(frame.filename)
    return frame.lineno is not None and not any(map(path.is_relative_to, (_OURS, *_LIBRARIES)))


def users_line(error: Exception) -> str | None:
    """The last line of the user's own code in the traceback."""
    frame = next(filter(_is_users, reversed(traceback.extract_tb(error.__traceback__))), None)
    if frame is None or frame.lineno is None:
        return None
    code = linecache.getline(frame.filename, frame.lineno).strip()
    said = f", `{code}`," if code else ""
    return f"line {frame.lineno} of {Path(frame.filename).name}{said}"


@contextmanager
def last_layer(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell the name of each layer, with its class, as it is entered."""
    names: dict[int, str] = {}

    def enter(part: nn.Module, _: Any) -> None:
        if isinstance(part, Objective):
            names.update((id(inner), name) for name, inner in part.named_modules())
        if names.get(id(part)):
            tell(f"{names[id(part)].removeprefix('module.')} ({type(part).__name__})")

    hook = nn.modules.module.register_module_forward_pre_hook(enter)
    try:
        yield
    finally:
        hook.remove()
