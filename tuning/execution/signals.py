"""Ctrl-C and `kill` that are heard whatever was going on when they came."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruptions", "deferred_interrupts", "keeping_sigterm"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruptions:
    """What has come.

    Attributes:
        patient: whether the first Ctrl-C only asks to come to an end, and the second interrupts.
        asked: whether that first one has come.
        others: what says that Python dropped an exception, of those that are not ours.
    """

    def __init__(self) -> None:
        self.patient = self.asked = False
        self._came = threading.Event()
        self.others = sys.unraisablehook

    def check(self) -> None:
        """Raises KeyboardInterrupt once an interruption has come. For one that was lost: it raises
        at once as well, but Python drops what is raised inside a `__del__` or the callback of a
        weak reference, and the work would go on. It would print six lines about it, too; of an
        interruption that was heard `unraisable` says nothing."""
        if self._came.is_set():
            raise KeyboardInterrupt

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if number == signal.SIGINT and self.patient and not self.asked:
            self.asked = True
            return
        self._came.set()
        signal.default_int_handler(number, frame)

    def unraisable(self, dropped: sys.UnraisableHookArgs) -> None:
        """Say what Python dropped, as it does by itself, unless `check` will raise it again."""
        if not (self._came.is_set() and issubclass(dropped.exc_type, KeyboardInterrupt)):
            self.others(dropped)


@contextmanager
def deferred_interrupts() -> Iterator[Interruptions]:
    """Listen meanwhile.

    A signal that does something else than interrupt (`nohup`, a program's own handler) is left
    alone, and so is every signal in a thread, where Python allows no handlers.
    """
    heard = Interruptions()
    main = threading.current_thread() is threading.main_thread()
    ours = [n for n in _SIGNALS if main and signal.getsignal(n) is signal.default_int_handler]
    try:
        for number in ours:
            signal.signal(number, heard.hear)
        if ours:
            sys.unraisablehook = heard.unraisable
        yield heard
    finally:
        for number in ours:
            signal.signal(number, signal.default_int_handler)
        if ours:
            sys.unraisablehook = heard.others


@contextmanager
def keeping_sigterm() -> Iterator[None]:
    """Around `ray.init`, which makes SIGTERM end the process on the spot, with exit code 15."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
