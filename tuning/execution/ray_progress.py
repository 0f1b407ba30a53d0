"""How far tasks are, by way of the small store of names and values that Ray's head keeps.

It serves a cluster as it does one machine, needs no process of its own, and nobody waits for it: an
actor would be one more process, and a generator of results another kind of task.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from tuning.execution.base import TaskId, TaskProgress
from tuning.trial.watch import LossBand

__all__ = ["Heard", "say"]

_NAMESPACE = "surefoot"
_PAUSE_SECONDS = 2.0


def say(name: str, task_id: TaskId, losses: LossBand) -> None:
    """From a worker: so far is the task. Where the head is away nobody hears it.

    Args:
        name: of a `Heard`.
    """
    from ray.exceptions import RayError
    from ray.experimental.internal_kv import _internal_kv_put

    text = json.dumps(asdict(losses))
    with contextlib.suppress(RayError):
        _internal_kv_put(_key(name, task_id), text, namespace=_NAMESPACE)


class Heard:
    """What the tasks of one pool say; belongs to the driver.

    Args:
        ray: the module.

    Attributes:
        name: under which they say it.
    """

    def __init__(self, ray: Any) -> None:
        self.name = uuid.uuid4().hex
        self._store, self._error = ray.experimental.internal_kv, ray.exceptions.RayError
        self._last: dict[TaskId, bytes] = {}
        self._next = 0.0

    def of(self, running: Iterable[TaskId]) -> list[TaskProgress]:
        """What is new of the tasks that are running, every two seconds; what others have said is
        thrown away."""
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + _PAUSE_SECONDS
        with contextlib.suppress(self._error):
            return self._news({_key(self.name, task_id): task_id for task_id in running})
        return []

    def _news(self, running: dict[str, TaskId]) -> list[TaskProgress]:
        store, news = self._store, []
        for key in store._internal_kv_list(self.name, namespace=_NAMESPACE):
            if (task_id := running.get(key.decode())) is None:
                store._internal_kv_del(key, namespace=_NAMESPACE)
                continue
            text = store._internal_kv_get(key, namespace=_NAMESPACE)
            if text != self._last.get(task_id):
                self._last[task_id] = text
                news.append(TaskProgress(task_id, _read(text)))
        self._last = {t: text for t, text in self._last.items() if t in running.values()}
        return news


def _read(text: bytes) -> LossBand:
    found = json.loads(text)
    quantiles = tuple(tuple(some) for some in found["quantiles"])
    return LossBand(tuple(found["steps"]), quantiles, found["restarts"])


def _key(name: str, task_id: TaskId) -> str:
    return f"{name}/{task_id.number}.{task_id.part}.{task_id.attempt}"
