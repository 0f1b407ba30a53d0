"""The job file: defaults, and one clear line for whatever may be wrong in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.made_results import refused
from trainers import InvalidInput, Thresholds
from trainers.optimizers import Adam, GradientDescent, Momentum
from tuning.spec.job import JobSpec, read_spec
from tuning.spec.search_space import LEARNING_RATE
from tuning.spec.sections import ProblemSpec

ROOT = Path(__file__).resolve().parents[3]
XOR = {"problem": {"name": "xor"}}


def test_defaults() -> None:
    spec = read_spec(XOR)
    assert spec.model_dump() == {
        "name": "xor",
        "seed": 0,
        "problem": {"name": "xor", "check": True},
        "search": {
            "optimizers": [{"name": "gd"}],
            "learning_rate": {"low": 1e-4, "high": 10.0},
            "settings": 48,
            "sampler": spec.search.sampler,
            "try_first": None,
            "in_flight": 8,
        },
        "training": {
            "restarts": 64,
            "steps": 2000,
            "batch_size": None,
            "sharpness_every": None,
            "memory_per_task": 2.0,
        },
        "budget": {
            "minutes": None,
            "restarts": None,
            "steps": None,
            "settings": None,
            "fresh": None,
        },
        "stability": {
            "max_unstable": 0.05,
            "max_hover": 0.05,
            "confidence": 0.95,
            "margin": 2.0,
            "confirm": 512,
            "target_loss": None,
            "choose_by": "cost",
        },
        "outcomes": {k: v for k, v in vars(Thresholds()).items() if k != "max_hover"},
        "tracking": {"uri": None},
        "storage": {"url": None},
        "cluster": {
            "max_tasks": None,
            "priority": 0,
            "cpus_per_task": 1.0,
            "gpus_per_task": 0.0,
            "task_timeout": 600.0,
            "transfer_timeout": 60.0,
            "include": [],
            "files": None,
        },
    }
    assert spec.search.rules == [GradientDescent()]
    assert [p[LEARNING_RATE] for p in spec.search.first_points] == [0.001, 0.01, 0.1]
    assert spec.thresholds == Thresholds()


def test_the_answer_key_leaves_out_where_things_are_kept() -> None:
    spec = read_spec(XOR)
    kept = read_spec(
        {
            **XOR,
            "tracking": {"uri": "sqlite:///a"},
            "storage": {"url": "journal:///b"},
            "cluster": {"max_tasks": 3},
        }
    )
    assert kept.answer_key == spec.answer_key
    assert set(spec.answer_key) == set(JobSpec.model_fields) - {"cluster", "storage", "tracking"}


def test_the_answer_key_holds_no_credentials() -> None:
    spec = read_spec({"problem": {"name": "mlp", "data": "s3://me:hush@b/a.csv", "hidden": [2]}})
    assert spec.answer_key["problem"]["data"] == "s3://***@b/a.csv"
    assert spec.problem.parameters == {"data": "s3://me:hush@b/a.csv", "hidden": [2]}


def test_everything_given(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(
        """
        name = "mine"
        seed = 9
        [problem]
        name = "double-well"
        tilt = 0.2
        [search]
        optimizers = ["momentum", { name = "momentum", beta = 0.5 }, { name = "adam", beta1 = 0 }]
        learning_rate = { low = 1e-2, high = 1 }
        settings = 9
        sampler = "grid"
        in_flight = 2
        [training]
        restarts = 8
        steps = 10
        [stability]
        margin = 1
        target_loss = -3
        choose_by = "validation"
        """,
        encoding="utf-8",
    )
    spec = read_spec(path)
    assert read_spec(str(path)) == spec
    assert (spec.name, spec.seed, spec.problem.parameters) == ("mine", 9, {"tilt": 0.2})
    assert spec.search.rules == [Momentum(), Momentum(beta=0.5), Adam(beta1=0.0)]
    assert spec.search.learning_rate.high == 1.0
    assert [p[LEARNING_RATE] for p in spec.search.first_points] == [0.01, 0.1]  # those in range
    assert (spec.stability.margin, spec.stability.target_loss) == (1.0, -3.0)
    assert (spec.training.restarts, spec.training.steps) == (8, 10)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.stem)
def test_the_examples_are_valid_and_come_back_from_json(path: Path) -> None:
    spec = read_spec(path)
    assert read_spec(spec.model_dump()) == spec
    assert read_spec(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("problem", "name"),
    [("xor", "xor"), ("mine.models:Deep", "Deep"), ("../up", "job"), ("a:", "job"), ("", "job")],
)
def test_a_job_is_named_after_its_problem(problem: str, name: str) -> None:
    assert read_spec({"problem": {"name": problem}}).name == name
    spec = JobSpec(problem=ProblemSpec(name=problem))
    assert spec.name == name
    assert read_spec(spec.model_dump()) == spec
    assert read_spec(spec) is spec


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "job: problem is missing"),
    ({"problem": {}}, "job: problem.name is missing"),
    ({"problem": "xor"}, r"job: problem = 'xor' is not valid: input should be a valid dictionary"),
    ({"problem": {"name": 3}}, r"job: problem.name = 3 is not valid: input should be a valid str"),
    ({"problem": {"name": "x", "rate": float("nan")}}, r"problem: rate = nan is not valid: finite"),
    ({"problem": {"name": "x", "on": {1, 2}}}, r"problem: on = \{1, 2\} is not valid: finite numb"),
    ({**XOR, "sed": 1}, r"unknown key 'sed'; did you mean 'seed'\? valid: name, seed, problem, "),
    ({**XOR, "a[0]": 1}, r"unknown key 'a\[0\]'; valid: name, seed"),
    ({**XOR, "str": 1}, r"unknown key 'str'; (did you mean .*)?valid: name, seed"),
    ({**XOR, "a\nb": 1}, r"unknown key 'a\\nb'; valid: name, seed"),
    ({**XOR, "search": {"setting": 1}}, r"unknown key 'search.setting'; did you mean 'settings'\?"),
    (
        {**XOR, "search": {"learning_rate": {"hi": 1}}},
        r"unknown key 'search.learning_rate.hi'; did you mean 'high'\? valid: low, high$",
    ),
    ({**XOR, "training": {"epochs": 3}}, r"'training.epochs'; valid: restarts, steps, batch_size"),
    ({**XOR, "stability": {"margins": 3}}, r"'stability.margins'; did you mean 'margin'\?"),
    ({**XOR, "tracking": {"url": "x"}}, r"'tracking.url'; did you mean 'uri'\? valid: uri$"),
    (
        {**XOR, "seed": -1},
        r"job: seed = -1 is not valid: input should be greater than or equal to 0",
    ),
    ({**XOR, "seed": True}, r"job: seed = True is not valid: input should be a valid integer"),
    ({**XOR, "seed": 2**63}, r"job: seed = 9223372036854775808 is not valid"),
    ({**XOR, "name": "a/b"}, r"job: name: 'a/b' is not valid: 1 to 80 printable characters, no / "),
    ({**XOR, "name": ""}, r"job: name: '' is not valid"),
    ({**XOR, "name": "a\nb"}, r"job: name: 'a\\nb' is not valid"),
    ({**XOR, "name": ".hidden"}, r"job: name: '.hidden' is not valid"),
    ({**XOR, "search": []}, r"job: search = \[\] is not valid: input should be a valid dictionary"),
    ({**XOR, "search": {"optimizers": []}}, r"search.optimizers = \[\] is not valid: list should"),
    (
        {**XOR, "search": {"optimizers": "gd"}},
        r"search.optimizers = 'gd' is not valid: input shoul",
    ),
    (
        {**XOR, "search": {"optimizers": ["gd", 5]}},
        r"search.optimizers.1: 5 is not valid: an optimizer is a name, or a table with one, as in "
        r'\{ name = "adam", beta1 = 0.9 \}$',
    ),
    (
        {**XOR, "search": {"optimizers": [{"beta": 0.9}]}},
        r"optimizers.0: \{'beta': 0.9\} is not va",
    ),
    ({**XOR, "search": {"optimizers": [{"name": "gd", 1: 2}]}}, r"optimizers.0: .* is not valid"),
    (
        {**XOR, "search": {"optimizers": ["adm"]}},
        r"search.optimizers.0: unknown optimizer 'adm'; did you mean 'adam'\? valid: gd, ",
    ),
    (
        {**XOR, "search": {"optimizers": [{"name": "adam", "beta3": 0.9}]}},
        r"search.optimizers.0: adam: unknown hyperparameter 'beta3'; did you mean 'beta",
    ),
    (
        {**XOR, "search": {"optimizers": [{"name": "momentum", "beta": 1.5}]}},
        r"search.optimizers.0: momentum: beta = 1.5 is not valid; it must be in \[0, 1\)",
    ),
    ({**XOR, "search": {"optimizers": [{"name": "momentum", "beta": "a"}]}}, r"is not a number"),
    (
        {**XOR, "search": {"optimizers": [{"name": "momentum", "beta": float("nan")}]}},
        r"beta = nan",
    ),
    ({**XOR, "search": {"optimizers": [{"name": "momentum", "beta": 10**400}]}}, r"too large"),
    (
        {**XOR, "search": {"optimizers": ["gd", {"name": "gd"}]}},
        r"search: optimizers names the same",
    ),
    (
        {**XOR, "search": {"optimizers": ["gd", "adam"], "settings": 1}},
        r"search: settings = 1 is fewer than the 2 optimizers that share them; give each at least",
    ),
    ({**XOR, "search": {"settings": 0}}, r"search.settings = 0 is not valid: .* equal to 1"),
    ({**XOR, "search": {"settings": 4.0}}, r"search.settings = 4.0 is not valid: .* valid integer"),
    ({**XOR, "search": {"sampler": "bayes"}}, r"search.sampler = 'bayes' is not valid: .*'random'"),
    ({**XOR, "search": {"in_flight": 0}}, r"search.in_flight = 0 is not valid"),
    (
        {**XOR, "search": {"learning_rate": {"low": 1.0, "high": 0.1}}},
        r"search.learning_rate: low = 1 must be below high = 0.1: the range is empty",
    ),
    (
        {**XOR, "search": {"learning_rate": {"low": 0}}},
        r"learning_rate.low = 0 is not valid: .* 0$",
    ),
    (
        {**XOR, "search": {"learning_rate": {"low": "1e-3"}}},
        r"low = '1e-3' is not valid: .* number",
    ),
    ({**XOR, "search": {"learning_rate": {"low": True}}}, r"low = True is not valid: .* number"),
    ({**XOR, "search": {"learning_rate": {"high": float("nan")}}}, r"high = nan is not valid: .*"),
    (
        {**XOR, "search": {"learning_rate": {"high": float("inf")}}},
        r"high = inf is not valid: .*fini",
    ),
    (
        {**XOR, "search": {"try_first": [0.1, 20]}},
        r"search: try_first has 20, outside learning_rate 0.0001 to 10; widen the range or drop it",
    ),
    (
        {**XOR, "search": {"try_first": [0.1, -1]}},
        r"search.try_first.1 = -1 is not valid: .* than 0",
    ),
    ({**XOR, "training": {"restarts": 0}}, r"training.restarts = 0 is not valid"),
    ({**XOR, "training": {"steps": "many"}}, r"training.steps = 'many' is not valid: .* integer"),
    ({**XOR, "training": {"batch_size": 0}}, r"training.batch_size = 0 is not valid"),
    ({**XOR, "training": {"sharpness_every": 0}}, r"training.sharpness_every = 0 is not valid"),
    ({**XOR, "training": {"sharpness_every": 2.5}}, r"training.sharpness_every = 2.5 is not v"),
    (
        {**XOR, "training": {"sharpness_every": 101, "steps": 100}},
        r"training: sharpness_every = 101 is more than the 100 steps",
    ),
    (
        {**XOR, "stability": {"max_unstable": 1}},
        r"stability.max_unstable = 1 is not valid: .* than 1",
    ),
    ({**XOR, "stability": {"confidence": 0.5}}, r"stability.confidence = 0.5 is not valid"),
    ({**XOR, "stability": {"margin": 0.9}}, r"stability.margin = 0.9 is not valid: .* equal to 1$"),
    (
        {**XOR, "stability": {"choose_by": "luck"}},
        r"choose_by = 'luck' is not valid: .*'validation'",
    ),
    ({**XOR, "stability": {"target_loss": float("nan")}}, r"target_loss = nan is not valid"),
    ({**XOR, "outcomes": {"settled": 2.0}}, r"outcomes.settled = 2.0 is not valid"),
    ({**XOR, "outcomes": {"opposed": 0.5}}, r"outcomes.opposed = 0.5 is not valid"),
    ({**XOR, "seed": -1, "training": {"steps": 0}}, r"seed = -1 is not valid: .* \(and 1 more\)$"),
    (
        {**XOR, "seed": list(range(99))},
        r"seed = a list is not valid: input should be a valid integ",
    ),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=range(len(WRONG)))
def test_wrong_input_is_named_in_one_line(data: dict[str, Any], message: str) -> None:
    found = refused(data)
    assert re.search(message, found), found


@pytest.mark.parametrize(
    ("problem", "training", "message"),
    [
        (
            "double-well",
            {"batch_size": 4},
            "training.batch_size = 4: problem double-well has no ex",
        ),
        ("xor", {"batch_size": 5}, "training.batch_size = 5 is more than the 4 training examples"),
        ("xxor", {}, "unknown problem 'xxor'; did you mean 'xor'?"),
    ],
)
def test_problems_that_cannot_be_trained_so(
    problem: str, training: dict[str, Any], message: str
) -> None:
    spec = read_spec({"problem": {"name": problem}, "training": training})
    with pytest.raises(InvalidInput) as caught:
        spec.make_problem()
    assert str(caught.value).startswith(message)


def test_a_choice_by_validation_needs_examples_held_out() -> None:
    stability = {"choose_by": "validation"}
    with pytest.raises(
        InvalidInput, match=r"stability\.choose_by = 'validation': problem xor has no"
    ):
        read_spec({**XOR, "stability": stability}).make_problem()
    data = {"name": "mlp", "data": "wine", "hidden": [2]}
    read_spec({"problem": {**data, "validation": 0.2}, "stability": stability}).make_problem()
    with pytest.raises(InvalidInput, match=r"set problem\.validation"):
        read_spec({"problem": {**data, "validation": 0.0}, "stability": stability}).make_problem()
