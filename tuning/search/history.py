"""What the coordinator did lately, in words, for whoever asks why a job failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tuning.execution.base import Done, Failed, Lost, Outcome
from tuning.search.actions import Action, Fail, Finish, Submit, Tell

__all__ = ["History"]

_MOST_LINES = 50
_MOST_NAMED = 4  # tasks, in one line


class History:
    """The last events, each with what followed from it; older ones are forgotten."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._count = 0

    def add(self, event: Outcome | None, actions: Sequence[Action]) -> None:
        """Note `event`, or None for the start, and the actions that it led to."""
        self._count += 1
        self._lines.append(f"{self._count}. {_event(event)}: {_actions(actions)}")

    def __str__(self) -> str:
        head = f"the coordinator's last {len(self._lines)} events, of {self._count}:"
        return "\n".join([head, *(f"  {line}" for line in self._lines)])


def _event(event: Outcome | None) -> str:
    match event:
        case None:
            return "start"
        case Done():
            return f"{event.task_id} is done"
        case Lost(why=why):
            return f"{event.task_id} was lost ({_line(why)})"
        case Failed(trace=trace):
            return f"{event.task_id} raised ({_line(trace)})"


def _actions(actions: Sequence[Action]) -> str:
    submitted = [str(action.task_id) for action in actions if isinstance(action, Submit)]
    words = []
    for action in actions:
        match action:
            case Tell(result=result):
                words.append(f"setting {result.setting.number} is told")
            case Finish():
                words.append("all is told")
            case Fail():
                words.append("the job fails")
    if len(submitted) > _MOST_NAMED:
        words.append(f"submit {len(submitted)} tasks, {submitted[0]} to {submitted[-1]}")
    elif submitted:
        words.append(f"submit {', '.join(submitted)}")
    return "; ".join(words) or "changes nothing"


def _line(text: str) -> str:
    """The last line: of a traceback, what was raised."""
    return text.strip().splitlines()[-1] if text.strip() else "without a word"
