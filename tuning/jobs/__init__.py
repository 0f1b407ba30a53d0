"""A job, wherever it is: a folder on this machine, or rows of a cluster's database.

Who wants a job asks `lookup.find_job` and gets a `base.Job`, whose interface is all that is needed
of it: nobody outside asks where it lives. The room knows `study`, `storage` and `tracking`, and
nothing of how a job is carried out. Nothing is exported here: commands that must answer at once
read `files`.
"""

from __future__ import annotations

__all__: list[str] = []
