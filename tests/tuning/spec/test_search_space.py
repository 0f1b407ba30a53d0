"""The space of a search: its dimensions, and what lies in them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers import InvalidInput, get_optimizer
from tuning.spec.job import read_spec
from tuning.spec.search_space import Dimension, SearchSpace


def test_a_job_has_one_dimension_today() -> None:
    search = {"optimizers": ["gd", {"name": "adam", "beta1": 0.8}]}
    spec = read_spec({"problem": {"name": "xor"}, "search": search})
    assert spec.search.space == SearchSpace(
        ("gd", "adam(beta1=0.8)"), (Dimension("learning_rate", 1e-4, 10.0),)
    )


@given(low=st.floats(1e-300, 1e300), factor=st.floats(1.0001, 1e4), part=st.floats(0, 1))
def test_every_part_of_the_way_is_inside(low: float, factor: float, part: float) -> None:
    dimension = Dimension("learning_rate", low, low * factor)
    assert dimension.at(part) in dimension
    assert dimension.at(0.5) == pytest.approx(low * math.sqrt(factor), rel=1e-9)


def test_what_lies_outside_is_reached() -> None:
    space = SearchSpace(("gd",), (Dimension("learning_rate", 0.1, 1.0),))
    assert space.reaching({"learning_rate": 0.5}) == space
    assert space.reaching({"learning_rate": 2.0}).dimensions[0].high == 2.0
    assert space.reaching({"learning_rate": 0.01}).dimensions[0].low == 0.01


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 1.0), (1.0, math.inf), (1, math.nan)])
def test_an_empty_range_is_refused(low: float, high: float) -> None:
    with pytest.raises(InvalidInput, match="it needs 0 < low < high"):
        Dimension("learning_rate", low, high)


def test_a_label_tells_what_is_not_the_default() -> None:
    assert get_optimizer("adam").label == "adam"
    assert get_optimizer("adam", beta1=0.8).label == "adam(beta1=0.8)"
