"""The table of a job file about what carries its tasks out."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tuning.spec.sections import Section

__all__ = ["ClusterSpec"]

_LEAST_GPU = 0.01
# Where both fsspec can write and Ray's nodes can read.
_STORE = r"^(file:///|s3://|gs://|abfss://).+"


class ClusterSpec(Section):
    """`[cluster]`: how the job is carried out on a cluster; nothing of it changes the answer, but
    that GPUs round otherwise than CPUs.

    `max_tasks`: at most so many tasks at once; without it, the job's fair share. `priority`: jobs
    of a lower one have what those of a higher one leave free, and begin after them.
    `cpus_per_task`: what Ray reserves for each. `gpus_per_task`: the same, a part of one or some
    whole ones; a task sees no other GPUs, and without any it trains on the CPU. `task_timeout`:
    seconds after which a task counts as hung, is killed and tried again. `transfer_timeout`:
    seconds, beside one for each megabyte, in which the problem must come to a worker and a result
    from it. `include`: more files that travel with the job, as patterns beside the job file.
    `files`: a folder that the whole cluster reads (file:///, s3://, gs://, abfss://), where what
    travels is put if it is more than 100 MB.
    """

    max_tasks: int | None = Field(default=None, ge=1, le=100_000)
    priority: int = Field(default=0, ge=-1000, le=1000)
    cpus_per_task: float = Field(default=1.0, gt=0, le=1024)
    gpus_per_task: float = Field(default=0.0, ge=0, le=64)
    task_timeout: float = Field(default=600.0, ge=1, le=1e6)
    transfer_timeout: float = Field(default=60.0, ge=1, le=1e6)
    include: list[str] = Field(default=[])
    files: str | None = Field(default=None, pattern=_STORE)

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        gpus = self.gpus_per_task
        if not (gpus == 0 or _LEAST_GPU <= gpus <= 1 or gpus.is_integer()):
            raise ValueError(
                f"gpus_per_task = {gpus:g} is not valid: a part of one GPU, from {_LEAST_GPU:g} "
                "to 1, or a whole number of them"
            )
        return self
