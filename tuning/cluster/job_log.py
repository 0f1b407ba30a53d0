"""What a coordinator says: printed, and kept in the database though it may be away for a while."""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from types import TracebackType
from typing import Self

from tuning.errors import SurefootError
from tuning.jobs.cluster import ClusterJob

__all__ = ["JobLog"]

_PAUSE_SECONDS = 2.0
_FLUSH_SECONDS = 10.0


class JobLog:
    """What a coordinator says, to standard output and, behind it, to the job's log in the database.

    A file for writing text, so that a console can print to it. Lines wait while the database is
    away.
    """

    def __init__(self, job: ClusterJob) -> None:
        self._job = job
        # Lines; an event, to be set when all lines before it are kept; at last None.
        self._lines: queue.SimpleQueue[str | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._keep, name="job-log", daemon=True)
        self._ended = threading.Event()
        self._rest = ""
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rest:
            self.say(self._rest)
        if error is not None:  # nobody expects it: where it came from is kept
            self.say("".join(traceback.format_exception(error)))
        self._lines.put(None)
        self._thread.join(_FLUSH_SECONDS)
        self._ended.set()

    def say(self, text: str) -> None:
        """One line or more."""
        for line in text.splitlines():
            print(line, flush=True)
            self._lines.put(line)

    def failed(self, error: Exception) -> None:
        """Say why the job failed, with the error's notes, once; returns when that is kept, or the
        database has been away for ten seconds. Whoever follows a job reads no further than its end,
        so this comes before the job counts as failed."""
        if error is self._failure:
            return
        self._failure = error
        self.say("\n".join([f"failed: {error}", *getattr(error, "__notes__", ())]))
        kept = threading.Event()
        self._lines.put(kept)
        kept.wait(_FLUSH_SECONDS)

    def write(self, text: str) -> int:
        """As a file does; a line is said when it is complete."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self.say(line.rstrip())
        return len(text)

    def flush(self) -> None:
        """Nothing: standard output is flushed line by line."""
        sys.stdout.flush()

    def _keep(self) -> None:
        last = False
        while not last:
            waiting = self._next()
            last = None in waiting
            texts = [item for item in waiting if isinstance(item, str)]
            while texts and not self._ended.is_set():
                try:
                    self._job.say(*texts)
                    texts = []
                except SurefootError:  # a password that is being changed passes too
                    self._ended.wait(_PAUSE_SECONDS)
            for item in waiting:
                if isinstance(item, threading.Event):
                    item.set()

    def _next(self) -> list[str | threading.Event | None]:
        """What waits, at least one."""
        waiting = [self._lines.get()]
        while not self._lines.empty():
            waiting.append(self._lines.get())
        return waiting
