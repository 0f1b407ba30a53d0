"""The job as its owner writes it: a TOML file, a dict or keyword arguments, checked.

Everybody may come in. The room itself knows `trainers` and nothing else of `tuning`.
"""

from __future__ import annotations

from tuning.spec.job import JobSpec, folder_of, read_spec

__all__ = ["JobSpec", "folder_of", "read_spec"]
