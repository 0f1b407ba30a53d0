"""What is wrong with a module, a loss or data, in one line, from what PyTorch raised."""

from __future__ import annotations

from typing import Any

import torch

from trainers.errors import InvalidInput
from trainers.torch.deciding import users_line
from trainers.torch.examples import leaves

__all__ = ["checked_loss", "complaint"]

_REAL = "give inputs as real numbers, as x.float() / 255"
# What PyTorch says, and what is to be done.
_ADVICE = (
    ("expected target size", "a class for each example goes with outputs (N, classes)"),
    ("expected target dtype to be long", "labels must be whole numbers, as y.long()"),
    ("more than 1 value per channel", "batch normalisation needs batches of at least 2 examples"),
    ("expected scalar type float but found long", _REAL),
    ("must have the same dtype, but got long", _REAL),
    ("input type (long", _REAL),
    ("found dtype long but expected float", "give targets as real numbers, as y.float()"),
    ("result type float can't be cast", "give targets as real numbers, as y.float()"),
    ("is out of bounds", "labels are 0 to classes - 1"),
    ("index out of range", "whole numbers that an Embedding is given are 0 to its size - 1"),
    ("empty parameter list", "parameter_groups chose none of the module's parameters"),
)


def complaint(name: str, error: Exception, batch: Any) -> InvalidInput:
    """What `name` raised on a batch, where, and what to do about it if that is known."""
    if isinstance(error, InvalidInput):
        return error
    text = " ".join(str(error).split())
    shapes = ", ".join(f"{leaf.dtype} {tuple(leaf.shape)}" for leaf in leaves(batch))
    line = users_line(error)
    where = "" if line is None else f" at {line.removesuffix(',')},"
    advice = next((what for mark, what in _ADVICE if mark in text.lower()), None)
    return InvalidInput(
        f"{name} on a batch of {shapes.replace('torch.', '')}{where} raised "
        f"{type(error).__name__}: {text}{'' if advice is None else f'; {advice}'}"
    )


def checked_loss(name: str, loss: object) -> torch.Tensor:
    """The loss, if it is one.

    Raises:
        InvalidInput: it is not one number that depends on what is trained.
    """
    if not isinstance(loss, torch.Tensor):
        raise InvalidInput(f"{name}: the loss is a {type(loss).__name__}; return a tensor")
    if loss.shape != () or not loss.is_floating_point():
        raise InvalidInput(
            f"{name}: the loss is {loss.dtype} of shape {tuple(loss.shape)}; return one number, "
            "the mean over the batch"
        )
    if not loss.requires_grad:
        raise InvalidInput(f"{name}: the loss does not depend on any trained parameter")
    return loss
