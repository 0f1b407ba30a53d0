"""Tables as people export them, drawn by chance, with what they mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["OddTable", "odd_table"]

SEPARATORS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "utf-8-sig")
#: Of these a line may say that they are not read.
REFUSABLE_ENCODINGS = ("utf-16", "latin-1")
WORDS = (
    ("red", "green", "blue"),
    ("NA", "None", "yes"),  # as of countries, and of people who answer
    ("ü", "ß", "é"),
    ("a,b", 'say "so"', "c;d"),
    ("low", "high"),
)
ABSENT = ("", "NA", "nan", "null", "N/A")


@dataclass
class OddTable:
    """A file and what is in it.

    Attributes:
        features: column -> what each row means there: a number or a word; None where missing.
        dropped: columns that hold nothing but the rows' numbers.
        target: what each row's means. classes: whether they are classes.
        refusable: why a line may say that it is not read; empty if it must be.
        parameters: of `trainers.data.load`.
    """

    file: Path
    features: dict[str, list[float | str | None]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    target: list[float | str] = field(default_factory=list)
    classes: bool = False
    refusable: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)


def _number(low: float, high: float, write: Callable[[float], str]) -> Callable[[Random], str]:
    return lambda rng: write(rng.uniform(low, high))


def _negative_in_brackets(v: float) -> str:
    return f"{v:.1f}" if v >= 0 else f"({-v:.1f})"


#: How a number may be written, and what it then is.
WRITTEN: Mapping[str, tuple[Callable[[Random], str], Callable[[str], float]]] = {
    "plain": (_number(-5, 5, lambda v: f"{v:.5g}"), float),
    "exponent": (_number(-5e8, 5e8, lambda v: f"{v:.4e}"), float),
    "whole": (_number(-900, 900, lambda v: f"{v:.0f}"), float),
    "blanks": (_number(-5, 5, lambda v: f"  {v:.4f} "), float),
    "thousands": (
        _number(1e3, 1e7, lambda v: f"{v:,.2f}"),
        lambda text: float(text.replace(",", "")),
    ),
    "dollars": (
        _number(1, 1e5, lambda v: f"${v:,.2f}"),
        lambda text: float(text[1:].replace(",", "")),
    ),
    "percent": (_number(0, 100, lambda v: f"{v:.1f} %"), lambda text: float(text[:-2])),
    "decimal comma": (
        _number(-9, 9, lambda v: f"{v:.2f}".replace(".", ",")),
        lambda text: float(text.replace(",", ".")),
    ),
    "both": (
        _number(1e3, 1e6, lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,"))),
        lambda text: float(text.replace(".", "").replace(",", ".")),
    ),
    "gaps": (
        _number(1e3, 1e6, lambda v: f"{v:,.1f}".replace(",", "\u202f")),
        lambda text: float(text.replace("\u202f", "")),
    ),
    "brackets": (
        _number(-50, 50, _negative_in_brackets),
        lambda text: -float(text[1:-1]) if text.startswith("(") else float(text),
    ),
    "unit": (_number(1, 90, lambda v: f"{v:.1f} kg"), lambda text: float(text[:-3])),
}


def odd_table(seed: int, folder: Path) -> OddTable:
    """The table of this `seed`, written into `folder`."""
    rng = Random(seed)
    rows = rng.randint(30, 60)
    table = OddTable(folder / f"odd-{seed}.csv")
    columns: dict[str, list[str]] = {}
    if rng.random() < 0.3:
        name = rng.choice(["", "Unnamed: 0"])
        columns[name] = [str(i) for i in range(rows)]
        table.dropped.append("Unnamed: 0")  # so pandas calls what has no name
    for number in range(rng.randint(1, 5)):
        name = rng.choice(["x", "höhe", "a b", "rate (%)", "Größe"]) + f" {number}"
        columns[name], table.features[name] = _feature(rng, rows, table)
    if all(len(set(meant)) == 1 for meant in table.features.values()):
        table.refusable.append("nothing varies")
    columns["y"] = _target(rng, rows, table)
    table.parameters["target"] = "y"
    if rng.random() < 0.1:
        columns["when"] = [f"2026-11-{1 + i % 28:02}" for i in range(rows)]
        table.refusable.append("dates")
    _write(rng, table, columns)
    return table


def _feature(rng: Random, rows: int, table: OddTable) -> tuple[list[str], list[float | str | None]]:
    what = rng.random()
    if what < 0.25:
        words = rng.choice(WORDS)
        meant: list[float | str | None] = [words[i % len(words)] for i in range(rows)]
        rng.shuffle(meant)
        blanks = rng.random() < 0.4
        return [f"{' ' * (blanks and rng.random() < 0.3)}{word}" for word in meant], meant
    if what < 0.3:
        return ["7"] * rows, [7.0] * rows
    write, read = WRITTEN[rng.choice(list(WRITTEN))]
    texts = [write(rng) for _ in range(rows)]
    meant = [read(text) for text in texts]
    if rng.random() < 0.2:
        table.parameters["missing"] = "impute"
        absent = rng.choice(ABSENT)
        for row in rng.sample(range(rows), 3):
            texts[row], meant[row] = absent, None
    return texts, meant


def _target(rng: Random, rows: int, table: OddTable) -> list[str]:
    kind = rng.choice(["numbers", "words", "digits", "large"])
    if kind == "numbers":
        write, read = WRITTEN[rng.choice(["plain", "thousands", "percent", "decimal comma"])]
        texts = [write(rng) for _ in range(rows)]
        table.target = [read(text) for text in texts]
        return texts
    table.classes = True
    labels = {
        "words": rng.choice(WORDS),
        "digits": ("0", "1"),
        "large": (str(2**60), str(2**60 + 1)),
    }[kind]
    chosen = [labels[i % len(labels)] for i in range(rows)]
    rng.shuffle(chosen)
    table.target = list(chosen)
    return [f"{word}{' ' * (rng.random() < 0.1)}" for word in chosen]


def _write(rng: Random, table: OddTable, columns: Mapping[str, Sequence[str]]) -> None:
    encoding = rng.choice(ENCODINGS)
    if rng.random() < 0.1:
        encoding = rng.choice(REFUSABLE_ENCODINGS)
        table.refusable.append(encoding)
    text = io.StringIO()
    out = csv.writer(
        text, delimiter=rng.choice(SEPARATORS), lineterminator=rng.choice(["\n", "\r\n"])
    )
    out.writerow(columns)
    out.writerows(zip(*columns.values(), strict=True))
    table.file.write_bytes(text.getvalue().encode(encoding, errors="replace"))
