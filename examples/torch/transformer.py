"""A small transformer that guesses the next letter, by AdamW under a schedule.

The rate that is searched is the schedule's base rate: the lr of the optimizer that it is given.

Run it where you like: `python examples/torch/transformer.py`.
"""

from __future__ import annotations

import torch
from torch import nn

import tuning

STEPS, CONTEXT = 100, 6
text = "how fast can a model learn before it falls or gets stuck? as fast as it can and no faster. "
letters = sorted(set(text))
codes = torch.tensor([letters.index(letter) for letter in text])
X, y = codes.unfold(0, CONTEXT, 1)[:-1], codes[CONTEXT:]  # six letters, and the next


class Guess(nn.Module):
    def __init__(self):
        super().__init__()
        self.letter = nn.Embedding(len(letters), 8)
        self.place = nn.Parameter(0.1 * torch.randn(CONTEXT, 8))
        self.block = nn.TransformerEncoderLayer(
            8, nhead=2, dim_feedforward=16, dropout=0.0, batch_first=True
        )
        self.head = nn.Linear(8, len(letters))

    def forward(self, codes):
        return self.head(self.block(self.letter(codes) + self.place)[:, -1])


report = tuning.find_learning_rate(
    model=Guess,
    loss=nn.functional.cross_entropy,
    data=(X, y),
    optimizers=[{"name": "adamw", "weight_decay": 0.01}],
    scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS),
    learning_rate=(1e-3, 1.0),
    batch_size=17,
    steps=STEPS,
    settings=6,
    restarts=8,
)

print(report)
