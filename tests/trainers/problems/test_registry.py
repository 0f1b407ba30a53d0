from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import trainers
from tests.support.own_modules import imported_from
from trainers._suggest import nearest
from trainers.errors import InvalidInput, ProblemFailed, SurefootError
from trainers.problem import Problem
from trainers.problems.registry import PROBLEMS, example_of, get_problem, parameters_of
from trainers.randomness import starts
from trainers.training.checks import check_returns

BOWL = """
from __future__ import annotations

from trainers import Problem


class Bowl(Problem):
    known_minimum = 0.0
    parameters = 3

    def __init__(self, *, steepness: float = 1.0) -> None:
        self.steepness = steepness

    def initial(self, rng):
        return rng.uniform(-1, 1, self.parameters)

    def loss_and_gradient(self, w):
        return 0.5 * self.steepness * (w * w).sum(axis=1), self.steepness * w


class Anything(Bowl):
    def __init__(self, **options):
        super().__init__()
        self.options = options


class Demanding(Bowl):
    def __init__(self, depth):
        super().__init__()


class Unfinished(Problem):
    parameters = 1


number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with a user's modules."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "surefoot_own").mkdir()
    (tmp_path / "surefoot_own" / "__init__.py").touch()
    (tmp_path / "surefoot_own" / "bowls.py").write_text(BOWL, encoding="utf-8")
    (tmp_path / "surefoot_own" / "needs.py").write_text("import surefoot_absent", encoding="utf-8")
    (tmp_path / "surefoot_own" / "raises.py").write_text(
        "raise ValueError('the value is mine')", encoding="utf-8"
    )
    with imported_from(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_name_gives_a_problem_that_can_be_trained(name: str) -> None:
    problem = example_of(name)
    assert isinstance(problem, PROBLEMS[name])
    w0 = starts(problem, restarts=2)
    assert w0.shape == (2, problem.parameters)
    check_returns(problem, w0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_parameter_is_documented(name: str) -> None:
    for parameter in parameters_of(PROBLEMS[name]).values():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.name in (PROBLEMS[name].__doc__ or "")


def test_parameters_reach_the_problem() -> None:
    assert get_problem("double-well", tilt=0.5).tilt == 0.5  # type: ignore[attr-defined]
    assert get_problem("rosenbrock", dimensions=4).parameters == 4
    assert list(parameters_of(PROBLEMS["double-well"])) == ["tilt", "span"]


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("duble-well", {}, "unknown problem 'duble-well'; did you mean 'double-well'? valid: "),
        ("zzz", {}, "unknown problem 'zzz'; valid: single-weight, "),
        ("zzz", {}, 'or "package.module:Class" for your own'),
        (
            "double-well",
            {"tlit": 1},
            "problem double-well: unknown parameter 'tlit'; did you mean ",
        ),
        ("double-well", {"tilt": 9.0}, "problem double-well: tilt = 9.0 is not valid"),
        ("saddle-between-wells", {"a": 1}, "unknown parameter 'a'; valid: none"),
        ("mlp", {}, "problem mlp: parameter 'data' is missing"),
        ("mlp", {"data": 3}, "problem mlp: data = 3 is not valid"),
        ("xor", {"activation": "tahn"}, "problem xor: unknown activation 'tahn'"),
    ],
)
def test_wrong_names_and_parameters(name: str, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        get_problem(name, **parameters)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("own")
def test_a_problem_of_one_s_own() -> None:
    problem = get_problem("surefoot_own.bowls:Bowl", steepness=3.0)
    loss, _ = problem.loss_and_gradient(np.ones((1, 3)))
    assert loss[0] == 4.5
    anything = get_problem("surefoot_own.bowls:Anything", whatever=1)
    assert anything.options == {"whatever": 1}  # type: ignore[attr-defined]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "surefoot_own.bowls:Bolw",
            "surefoot_own.bowls has no 'Bolw'; did you mean 'Bowl'? valid: ",
        ),
        ("surefoot_own.bowls:", "surefoot_own.bowls has no ''"),
        (
            "surefoot_own.bowls:number",
            "number is neither a subclass of trainers.Problem nor a function",
        ),
        ("surefoot_own.bowls:Demanding", "parameter 'depth' is missing"),
        ("surefoot_own.bowls:Unfinished", "Unfinished lacks initial, loss_and_gradient"),
        ("surefoot_own.bowsl:Bowl", "no module 'surefoot_own.bowsl'"),
        (
            "surefoot_nowhere.bowls:Bowl",
            "no module 'surefoot_nowhere'; run where it can be imported",
        ),
        (":Bowl", "problem ':Bowl' is not valid; write \"package.module:Class\""),
        (".bowls:Bowl", "problem '.bowls:Bowl' is not valid"),
        ("a..b:Bowl", "problem 'a..b:Bowl' is not valid"),
        ("bowls.py:Bowl", "no module 'bowls'"),
        ("some/bowls.py:Bowl", "problem 'some/bowls.py:Bowl' is not valid"),
    ],
)
def test_wrong_problems_of_one_s_own(name: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        get_problem(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("own")
def test_what_a_user_s_module_lacks_or_raises_is_not_hidden() -> None:
    with pytest.raises(InvalidInput, match=r"ModuleNotFoundError: .*surefoot_absent.*line 1\)"):
        get_problem("surefoot_own.needs:Bowl")
    with pytest.raises(InvalidInput, match="ValueError: the value is mine") as caught:
        get_problem("surefoot_own.raises:Bowl")
    assert isinstance(caught.value.__cause__, ValueError)  # with its traceback


def test_a_module_whose_name_only_begins_like_what_is_missing(
    own: Path,
) -> None:
    (own / "surefoot_ownership.py").write_text("import surefoot_owner", encoding="utf-8")
    with pytest.raises(
        InvalidInput, match=r"importing surefoot_ownership raised .*surefoot_owner'"
    ):
        get_problem("surefoot_ownership:Bowl")


def test_a_problem_without_its_number_of_parameters() -> None:
    class Forgetful(Problem):
        def initial(self, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            return np.zeros(2)

        def loss_and_gradient(self, w, /):  # type: ignore[no-untyped-def]
            return w.sum(axis=1), w

    with pytest.raises(InvalidInput, match=r"Forgetful\.parameters is missing"):
        starts(Forgetful(), restarts=1)


def test_nearest() -> None:
    assert (
        nearest("momentun", ["gd", "momentum"]) == "; did you mean 'momentum'? valid: gd, momentum"
    )
    assert nearest("x", ["gd"]) == "; valid: gd"
    assert nearest("x", []) == "; valid: none"
    many = [f"job-{number}" for number in range(100, 200)]
    wanted = ", ".join(many[:24])
    assert nearest("job-19", many) == f"; did you mean 'job-199'? valid: {wanted} and 76 more"


def test_errors_can_be_caught_together() -> None:
    assert issubclass(InvalidInput, SurefootError)
    assert issubclass(ProblemFailed, SurefootError)
    assert not issubclass(SurefootError, ValueError)


def test_what_the_package_exports_exists() -> None:
    assert len(trainers.__all__) == len(set(trainers.__all__))
    for name in trainers.__all__:
        assert not isinstance(getattr(trainers, name), ModuleType)
    assert inspect.signature(trainers.train).parameters["starts"].kind.name == "KEYWORD_ONLY"
