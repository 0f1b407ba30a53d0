"""Numbers as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.data.written import commas_in, is_date, read_written

# Cells, their values, and how they are written.
READ = [
    (["1", "-2.5", "3e4", ".5"], [1, -2.5, 3e4, 0.5], ""),
    (["1,234,567", "12"], [1234567, 12], "with commas between thousands"),
    (["1,234.5", "0.5"], [1234.5, 0.5], "with commas between thousands"),
    (["0,5", "1,25"], [0.5, 1.25], "with decimal commas"),
    (["1.234,5", "12,0"], [1234.5, 12], "with decimal commas"),
    (["$10.50", "$9"], [10.5, 9], "in $"),
    (["-$10", "$-3"], [-10, -3], "in $"),
    (["10 €", "7€"], [10, 7], "in €"),
    (["10 %", "5%"], [10, 5], "in %"),
    (["(10)", "3"], [-10, 3], "in brackets where negative"),
    (["($10)", "$3"], [-10, 3], "in brackets where negative, in $"),
    (["10 kg", "2 kg"], [10, 2], "in kg"),
    (["1 234", "12 345 678"], [1234, 12345678], "with gaps between thousands"),
    (["1\u202f234,5", "2,5"], [1234.5, 2.5], "with decimal commas, with gaps between thousands"),
    (["1'234.5", "7"], [1234.5, 7], "with gaps between thousands"),
    (["$1,234,000", None], [1234000, np.nan], "with commas between thousands, in $"),
]


@pytest.mark.parametrize(("cells", "values", "form"), READ, ids=lambda v: str(v)[:30])
def test_what_can_be_read_in_one_way(
    cells: list[str | None], values: list[float], form: str
) -> None:
    written = read_written(cells)
    assert written is not None
    np.testing.assert_array_equal(written.values, values)
    assert written.form == form


@pytest.mark.parametrize(
    "cells",
    [
        ["1,000", "2,500"],  # a thousand, or one
        ["10 kg", "2 lb"],
        ["$10", "€10"],
        ["10", "$10"],
        ["2024-03-01", "2024-03-02"],
        ["12:30", "13:00"],
        ["1,23", "1,234.5"],  # in no form both
        ["12,34,567", "1"],
        ["a1", "a2"],
        ["1-2", "3-4"],
        ["--1", "2"],
        ["", "1"],
        ["nan", "1"],
        ["inf", "1"],
        ["1_000", "2"],
        [".", "1,5"],
        ["0x10", "1"],
        [None, None],
    ],
    ids=str,
)
def test_what_cannot(cells: list[str | None]) -> None:
    assert read_written(cells) is None


@pytest.mark.parametrize(("role", "values"), [("thousands", [1000, 2500]), ("decimals", [1, 2.5])])
def test_the_rest_of_the_file_tells_what_commas_are_for(role: str, values: list[float]) -> None:
    assert commas_in(["1,000", "2,500"]) is None
    written = read_written(["1,000", "2,500"], role)
    assert written is not None
    np.testing.assert_array_equal(written.values, values)


def test_but_not_against_the_column_itself() -> None:
    assert commas_in(["0,5", "1,5"]) == "decimals"
    assert commas_in(["1,000,000"]) == "thousands"
    assert commas_in(["1.5"]) is None
    written = read_written(["0,5", "1,5"], "thousands")
    assert written is not None
    np.testing.assert_array_equal(written.values, [0.5, 1.5])


@pytest.mark.parametrize("text", ["2024-03-01", "1/2/2024", "01.02.24", "2024-03-01T10:00:00Z"])
def test_dates(text: str) -> None:
    assert is_date(text)
    assert not is_date(text[:3])
