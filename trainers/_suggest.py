"""What a message about a wrong name ends with."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest"]

_MOST_SHOWN = 24


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """`; did you mean 'x'? valid: x, y`, or the valid names alone where none is near.

    Of very many valid names the first are shown.
    """
    names = list(valid)
    close = get_close_matches(str(wrong), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"{hint} valid: {', '.join(names[:_MOST_SHOWN]) or 'none'}{more}"
