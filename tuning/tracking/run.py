"""A run of MLflow, before MLflow."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

__all__ = ["DIGEST_TAG", "KEY_TAG", "NOT_FINITE_TAG", "UNDER_WAY_TAG", "Run"]

KEY_TAG = "surefoot.key"
UNDER_WAY_TAG = "surefoot.under_way"
DIGEST_TAG = "surefoot.digest"
NOT_FINITE_TAG = "surefoot.not_finite"

# MLflow's limits for a value.
PARAM_CHARACTERS, TAG_CHARACTERS = 6000, 8000
_DIGITS = 16
# What is kept in tags: MLflow's metrics, params and artifacts stay as they are.
_CHANGEABLE = ("tags", "name", "colour", "note")
_NOT_IN_DIGEST = ("late", "under_way")


@dataclass(frozen=True)
class Run:
    """One flat MLflow run to be.

    Attributes:
        key: "<job id>/<trial number>" or "<job id>/report"; letters, digits and ".", "_", "-".
        name: what the UI shows, as in "adam lr=0.0123".
        params, tags: values that are too long for MLflow are cut.
        metrics: scalars, logged at step 0; one that is not finite is left out.
        late: likewise, those that are known when all runs are: a run that MLflow has without them
            gets them beside the rest.
        under_way: of something that goes on: it is put again and again, each time with longer
            curves, until it is dropped (`Tracker.drop`).
        curves: metric -> (step, value), at most 200 points each; one ends before its first value
            that is not finite. The tag `surefoot.not_finite` names what was left out or cut.
        seconds: start and end, Unix time. Points in between are dated in proportion to their step,
            so that writing a run again writes the same points, of which MLflow keeps one.
        colour: in the UI, as in "#2e7d32". note: Markdown. files: artifacts, path -> content.

    Raises:
        ValueError: the key is not of that form.
    """

    key: str
    name: str
    params: Mapping[str, str | float | int]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    seconds: tuple[float, float]
    colour: str | None = None
    note: str | None = None
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    late: Mapping[str, float] = field(default_factory=dict)
    under_way: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.key):
            raise ValueError(f"not of the form <job id>/<trial number>: {self.key!r}")

    @property
    def job(self) -> str:
        return self.key.partition("/")[0]

    @cached_property
    def digest(self) -> str:
        """Of all that is in the run, in three parts: what MLflow cannot change any more; what it
        can; and `late`, nothing without any."""
        changed = [getattr(self, name) for name in _CHANGEABLE]
        fixed = [
            getattr(self, f.name)
            for f in fields(self)
            if f.name not in (*_CHANGEABLE, *_NOT_IN_DIGEST)
        ]
        late = _digest(self.late) if self.late else ""
        return _digest([sorted(self.tags), fixed]) + _digest(changed) + late

    def completes(self, digest: str) -> bool:
        """Whether a run of this `digest` becomes this one where it stands: by other values in the
        same tags, another name, colour or note, and by `late` if it has none."""
        late = digest[2 * _DIGITS :]
        alike = digest[:_DIGITS] == self.digest[:_DIGITS]
        return digest != self.digest and alike and late in ("", self.digest[2 * _DIGITS :])

    def all_tags(self) -> dict[str, str]:
        """With those that MLflow's UI and this module read."""
        values = {name: [value] for name, value in (*self.metrics.items(), *self.late.items())}
        values |= {name: [value for _, value in curve] for name, curve in self.curves.items()}
        not_finite = ", ".join(n for n, some in values.items() if not all(map(math.isfinite, some)))
        own = {
            KEY_TAG: self.key,
            DIGEST_TAG: self.digest,
            NOT_FINITE_TAG: not_finite,
            UNDER_WAY_TAG: "true" if self.under_way else None,
            "mlflow.runName": self.name,
            "mlflow.runColor": self.colour,
            "mlflow.note.content": self.note,
        }
        tags = {**self.tags, **{name: value for name, value in own.items() if value}}
        return {name: _cut(value, TAG_CHARACTERS) for name, value in tags.items()}

    def all_params(self) -> dict[str, str]:
        """As text."""
        return {name: _cut(str(value), PARAM_CHARACTERS) for name, value in self.params.items()}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
