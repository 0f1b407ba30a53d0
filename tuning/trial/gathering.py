"""One result for each setting, however many trials it was tried in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tuning.trial.result import SettingResult
from tuning.trial.setting import Role, Setting

__all__ = ["gathered"]

_Key: TypeAlias = tuple[Role, int, tuple[tuple[str, float], ...]]


def gathered(results: Sequence[SettingResult]) -> tuple[SettingResult, ...]:
    """Join the results of the same role, optimizer and hyperparameters, by their first number.

    A joined result has the number of the first, all their blocks and restarts in order, their
    seconds summed and the latest end. One that stands alone is returned as the same object, and so
    is one that repeats a start: a sampler may propose the same setting twice, and no restart counts
    for two.
    """
    groups: dict[_Key, list[list[SettingResult]]] = {}
    for result in sorted(results, key=lambda r: r.setting.number):
        here = result.setting
        key = here.role, here.optimizer, tuple(sorted(here.hyperparameters.items()))
        mine = groups.setdefault(key, [])
        starts = set(here.starts)
        for group in mine:
            if all(starts.isdisjoint(other.setting.starts) for other in group):
                group.append(result)
                break
        else:
            mine.append([result])
    joined = [_join(group) for mine in groups.values() for group in mine]
    return tuple(sorted(joined, key=lambda r: r.setting.number))


def _join(group: list[SettingResult]) -> SettingResult:
    first = group[0]
    if len(group) == 1:
        return first
    blocks = tuple(block for result in group for block in result.setting.blocks)
    return SettingResult.join(Setting(first.setting.number, first.setting.role, blocks), group)
