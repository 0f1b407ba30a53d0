"""Trains networks with optax by code that a report told, in a process of its own: JAX chooses its
precision once for all, and minds forks of its process. Reads jobs as JSON, and writes the losses of
each."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

__all__ = ["losses"]

jax: Any = import_module("jax")
optax: Any = import_module("optax")

_ACTIVATIONS = {"tanh": jax.numpy.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}


def losses(job: dict[str, Any]) -> list[float]:
    """J before each step: the decay, which is the optimizer's affair, is added here."""
    told: dict[str, Any] = {}
    exec(job["code"], told)
    inputs, target = jax.numpy.array(job["inputs"]), jax.numpy.array(job["target"])
    blocks = [jax.numpy.array(block) for block in job["start"]]  # (units, inputs + 1) each

    def loss(blocks: list[Any]) -> Any:
        values = inputs
        for i, block in enumerate(blocks):
            values = values @ block[:, :-1].T + block[:, -1]
            if i < len(blocks) - 1:
                values = _ACTIVATIONS[job["activation"]](values)
        return told["loss"](values, target)

    decay = 0.5 * job["weight_decay"]
    evaluate = jax.jit(jax.value_and_grad(loss))
    state, found = told["optimizer"].init(blocks), []
    for _ in range(job["steps"]):
        value, gradient = evaluate(blocks)
        found.append(float(value) + decay * sum(float((block**2).sum()) for block in blocks))
        updates, state = told["optimizer"].update(gradient, state, blocks)
        blocks = optax.apply_updates(blocks, updates)
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    json.dump([losses(job) for job in json.load(sys.stdin)], sys.stdout)
