"""Ctrl-C and `kill` that are heard whatever was going on when they came."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["deferred_interrupts", "keeping_sigterm"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], None]]:
    """Give a function that raises KeyboardInterrupt once an interruption has come.

    For one that was lost: it raises at once as well, but Python drops what is raised inside a
    `__del__` or the callback of a weak reference, and the work would go on. A signal that does
    something else than interrupt (`nohup`, a program's own handler) is left alone, and so is every
    signal in a thread, where Python allows no handlers.
    """
    came = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        came.set()
        signal.default_int_handler(number, frame)

    def check() -> None:
        if came.is_set():
            raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    ours = [n for n in _SIGNALS if main and signal.getsignal(n) is signal.default_int_handler]
    try:
        for number in ours:
            signal.signal(number, remember)
        yield check
    finally:
        for number in ours:
            signal.signal(number, signal.default_int_handler)


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
