"""Trains networks in Keras by code that a report told, in a process of its own: Keras chooses its
backend and precision once for all. Reads jobs as JSON, and writes the losses of each."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

__all__ = ["losses"]

keras: Any = import_module("keras")
np: Any = import_module("numpy")


def losses(job: dict[str, Any]) -> list[float]:
    """J before each step, as `fit` gives it: with what the layers add to it."""
    told: dict[str, Any] = {}
    exec(job["code"], told)
    units = job["layers"]
    # As the remarks say.
    decay = {"kernel_regularizer": told.get("decay"), "bias_regularizer": told.get("decay")}
    layers = [keras.layers.Dense(n, activation=job["activation"], **decay) for n in units[1:-1]]
    layers.append(keras.layers.Dense(units[-1], **decay))
    model = keras.Sequential([keras.Input((units[0],)), *layers])
    for layer, start in zip(model.layers, job["start"], strict=True):
        block = np.array(start)  # (units, inputs + 1)
        layer.set_weights([block[:, :-1].T, block[:, -1]])
    model.compile(optimizer=told["optimizer"], loss=told["loss"], run_eagerly=job["eagerly"])
    inputs, target = np.array(job["inputs"]), np.array(job["target"])
    trained = model.fit(
        inputs, target, batch_size=len(inputs), epochs=job["steps"], shuffle=False, verbose=0
    )
    found: list[float] = trained.history["loss"]
    return found


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    json.dump([losses(job) for job in json.load(sys.stdin)], sys.stdout)
