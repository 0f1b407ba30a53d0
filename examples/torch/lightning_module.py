"""A LightningModule, taken as it is: its own training_step gives the loss.

Its configure_optimizers is not called: the optimizers are those that are named here. The step must
be pure, that is, return the loss and change nothing.

Run it where you like, with `pip install lightning`: `python examples/torch/lightning_module.py`.
"""

from __future__ import annotations

import lightning
import torch
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale
from torch import nn

import tuning

iris = load_iris()
X, y = scale(iris.data), iris.target


class Iris(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))

    def training_step(self, batch, batch_idx):
        flowers, kinds = batch
        return nn.functional.cross_entropy(self.layers(flowers), kinds)

    def configure_optimizers(self):
        return torch.optim.RMSprop(self.parameters())


report = tuning.find_learning_rate(
    model=Iris,
    data=(X, y),
    optimizers=[torch.optim.RMSprop],
    learning_rate=(1e-4, 10.0),
    batch_size=25,
    steps=80,
    settings=6,
    restarts=8,
)

print(report)
