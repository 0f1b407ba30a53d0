"""Where a problem is computed: wished where it is made, decided where it is trained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from trainers.errors import InvalidInput

__all__ = ["check_here", "device_here", "random_states", "repeatable_kernels", "valid_wish"]

_WISHES = ("auto", "cpu", "cuda")
# Not `allow_tf32`, which raises once the other kind of switch was used; these go with both.
_FULL = "ieee"
_SWITCHES: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,
    torch.backends.cudnn.rnn,
)


def valid_wish(name: str) -> str:
    """`name`, if it is one.

    Raises:
        InvalidInput: it is none.
    """
    if name not in _WISHES:
        raise InvalidInput(f"device = {name!r} is not valid; {', '.join(_WISHES)} are")
    return name


def device_here(wish: str) -> torch.device:
    """Where this process computes. One that makes a problem for others to train needs no GPU: it
    looks at the problem on the CPU."""
    return torch.device("cuda" if wish != "cpu" and torch.cuda.is_available() else "cpu")


def check_here(wish: str) -> None:
    """Before it is trained here.

    Raises:
        InvalidInput: a GPU is asked for, and PyTorch sees none.
    """
    if wish == "cuda" and device_here(wish).type != "cuda":
        raise InvalidInput(
            "device = 'cuda': PyTorch sees no GPU where it trains; give 'auto' or 'cpu', or, on "
            "Ray, [cluster] gpus_per_task"
        )


def random_states(device: torch.device) -> list[torch.Tensor]:
    """Of the generators from which a module there draws."""
    states = [torch.get_rng_state()]
    return states if device.type == "cpu" else [*states, torch.cuda.get_rng_state(device)]


@contextmanager
def repeatable_kernels() -> Iterator[None]:
    """Full single precision, not the ten bits of TF32, and the same sums each time. It changes
    nothing on a CPU.

    An operation that has no repeatable kernel warns.
    """
    cudnn: Any = torch.backends.cudnn
    precisions = [switch.fp32_precision for switch in _SWITCHES]
    chosen = cudnn.deterministic, cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    for switch in _SWITCHES:
        switch.fp32_precision = _FULL
    cudnn.deterministic, cudnn.benchmark = True, False
    gpu = torch.cuda.is_available()
    if gpu:
        # cuBLAS reads it when it is first used, and repeats its sums only so.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        for switch, precision in zip(_SWITCHES, precisions, strict=True):
            switch.fp32_precision = precision
        cudnn.deterministic, cudnn.benchmark = chosen
        if gpu:
            torch.use_deterministic_algorithms(strict, warn_only=warns)
            torch.utils.deterministic.fill_uninitialized_memory = fills
