"""Optuna's storages log what the caller is told anyway."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["quiet"]

STORAGES = ("optuna.storages._rdb.storage", "optuna.storages.journal._storage")


@contextmanager
def quiet(level: int) -> Iterator[None]:
    """Without what Optuna's storages log below `level`: that a study was created (INFO), or a lost
    connection with all of its statement (WARNING), which is raised as well.

    The user's own levels are not touched, nor what other threads log.
    """
    here = threading.get_ident()

    def shown(entry: logging.LogRecord) -> bool:
        return entry.thread != here or entry.levelno >= level

    with ExitStack() as stack:
        for name in STORAGES:
            logger = logging.getLogger(name)
            logger.addFilter(shown)
            stack.callback(logger.removeFilter, shown)
        yield
