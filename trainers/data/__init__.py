"""Data sets to train on: built in, from a file, by URI or a DataFrame, checked, split, encoded.

`problems` comes in by `load`. pandas, pyarrow and scikit-learn are imported when they are
needed.
"""

from __future__ import annotations

from trainers.data.dataset import Dataset, load
from trainers.data.sources import BUILT_IN, Task
from trainers.data.tables import Table

__all__ = ["BUILT_IN", "Dataset", "Table", "Task", "load"]
