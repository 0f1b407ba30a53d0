"""Problems and optimizers of other distributions: found by name, loaded late, and harmless."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.plugins import install, install_sample, on_path
from trainers import (
    OPTIMIZERS,
    PROBLEMS,
    InvalidInput,
    all_optimizers,
    all_problems,
    get_optimizer,
    get_problem,
)
from trainers._plugins import Origin, module_origins, uninstalled
from trainers.testing import check_optimizer, check_problem

BOWL = """
from __future__ import annotations
from trainers import Problem

class Bowl(Problem):
    parameters, known_minimum = 2, 0.0

    def initial(self, rng):
        return rng.uniform(-1, 1, 2)

    def loss_and_gradient(self, w):
        return (w * w).sum(axis=1), 2.0 * w

class Steep(Bowl):
    def loss_and_gradient(self, w):
        return (w * w).sum(axis=1), 4.0 * w

class Unfinished(Problem):
    parameters = 1

def nothing():
    return 3
"""
RULES = """
from __future__ import annotations
from dataclasses import dataclass
from trainers.optimizers import GradientDescent, Optimizer

@dataclass(frozen=True)
class Plain(GradientDescent):
    name = "plain"

@dataclass(frozen=True)
class Double(GradientDescent):
    name = "double"

    def step(self, w, gradient, rate, state):
        super().step(w, gradient, 2.0 * rate, state)

@dataclass(frozen=True)
class Fussy(GradientDescent):
    name = "fussy"
    share: float = 0.5

    def __post_init__(self):
        if self.share > 1:
            raise ValueError(f"share = {self.share} is above 1")

@dataclass(frozen=True)
class Never(GradientDescent):
    name = "never"

    def __post_init__(self):
        raise RuntimeError("not today")

@dataclass(frozen=True)
class Wordy(GradientDescent):
    name = "wordy"
    mode: str = "fast"

@dataclass(frozen=True)
class Needy(GradientDescent):
    name = "needy"
    share: float

class Bare(Optimizer):
    name = "bare"
    stability_limit = 2.0
    def init(self, w): ...
    def step(self, w, gradient, rate, state): ...

class Unfinished(Optimizer):
    name = "unfinished"

number = 3
"""
RAISING = {
    "raises": "x = 1\nraise ValueError('the value is mine')\n",
    "leaves": "raise SystemExit(3)\n",
    "stops": "class Stop(BaseException): pass\nraise Stop('enough')\n",
    "needs": "import surefoot_absent\n",
    "garbled": "def f(:\n",
    "lengthy": "raise ValueError('long ' * 200)\n",
}
#: What an entry point names, and what is said of it.
WRONG_PROBLEMS = {
    "raises": (
        "plugged_raises:X",
        "loading it raised ValueError: the value is mine ({}plugged_raises.py, line 2)",
    ),
    "leaves": ("plugged_leaves:X", "loading it raised SystemExit: 3 ({}plugged_leaves.py, line 1)"),
    "stops": ("plugged_stops:X", "loading it raised Stop: enough ({}plugged_stops.py, line 2)"),
    "needs": (
        "plugged_needs:X",
        "loading it raised ModuleNotFoundError: No module named 'surefoot_absent' "
        "({}plugged_needs.py, line 1)",
    ),
    "garbled": (
        "plugged_garbled:X",
        "loading it raised SyntaxError: invalid syntax (plugged_garbled.py, line 1)",
    ),
    "absent": (
        "plugged_absent:X",
        "loading it raised ModuleNotFoundError: No module named 'plugged_absent'",
    ),
    "mistyped": (
        "plugged_bowl:Bolw",
        "loading it raised AttributeError: module 'plugged_bowl' has no attribute 'Bolw'",
    ),
    "other": (
        "plugged_bowl:annotations",
        "it is neither a subclass of trainers.Problem nor a function that returns one",
    ),
    "module": (
        "plugged_bowl",
        "it is neither a subclass of trainers.Problem nor a function that returns one",
    ),
    "unfinished": ("plugged_bowl:Unfinished", "it lacks initial, loss_and_gradient"),
    "nowhere": ("-", 'it must name "package.module:object"'),
    "odd name": ("plugged_bowl:Bowl", "a name has letters, digits, . _ and - only"),
}
WRONG_OPTIMIZERS = {
    "raises": WRONG_PROBLEMS["raises"],
    "never": (
        "plugged_rules:Never",
        "loading it raised RuntimeError: not today ({}plugged_rules.py, line 31)",
    ),
    "wordy": ("plugged_rules:Wordy", "hyperparameter mode = 'fast' is not a number"),
    "needy": ("plugged_rules:Needy", "hyperparameter 'share' has no default"),
    "bare": (
        "plugged_rules:Bare",
        "it is not a dataclass, whose fields would be its hyperparameters",
    ),
    "unfinished": ("plugged_rules:Unfinished", "it lacks init, stability_limit, step"),
    "other": ("plugged_rules:number", "it is not a subclass of trainers.Optimizer"),
    "renamed": ("plugged_rules:Plain", "its attribute name is 'plain'; it must be 'renamed'"),
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder of sys.path into which distributions can be installed."""
    with on_path(tmp_path):
        yield tmp_path


@pytest.fixture
def broken(place: Path) -> Path:
    """Two that work, and every one that does not."""
    modules = {f"plugged_{name}": code for name, code in RAISING.items()}
    install(
        place,
        "surefoot-broken",
        {"plugged_bowl": BOWL, "plugged_rules": RULES, **modules},
        problems={"bowl": "plugged_bowl:Bowl", **{k: v for k, (v, _) in WRONG_PROBLEMS.items()}},
        optimizers={
            "plain": "plugged_rules:Plain",
            **{k: v for k, (v, _) in WRONG_OPTIMIZERS.items()},
        },
    )
    return place


def line_of(what: str, name: str, value: str, words: str, place: Path) -> str:
    return (
        f"{what} {name!r} of surefoot-broken 1.0 ({value}): {words.format(f'{place}/')}; "
        "mend or uninstall surefoot-broken"
    )


# --------------------------------------------------------------------------------- one that works


def test_a_plug_in_is_there_by_name(place: Path) -> None:
    install_sample(place)
    w = np.ones((1, 3))  # of four springs the first and the last are stretched by 1
    for name, stiffness in (("spring", 1.0), ("stiff-spring", 100.0)):
        loss, gradient = get_problem(name, masses=3).loss_and_gradient(w)
        np.testing.assert_array_equal(loss, [stiffness])
        np.testing.assert_array_equal(gradient, stiffness * np.array([[1.0, 0.0, 1.0]]))
    rule, moved = get_optimizer("qhm", beta=0.5), np.array([[4.0]])
    rule.step(moved, np.array([[2.0]]), np.ones((1, 1)), rule.init(moved))
    assert moved[0, 0] == pytest.approx(4.0 - (0.3 * 2.0 + 0.7 * 1.0))
    assert str(rule) == "qhm(beta=0.5, nu=0.7)"


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("sprong", {}, "unknown problem 'sprong'; did you mean 'spring'? valid: single-weight, "),
        ("spring", {"mass": 1}, "problem spring: unknown parameter 'mass'; did you mean 'masses'"),
        ("spring", {"masses": 0}, "problem spring: masses = 0 is not valid"),
        ("stiff-spring", {"stiffness": 2}, "problem stiff-spring: unknown parameter 'stiffness'"),
    ],
)
def test_wrong_names_and_parameters(
    place: Path, name: str, parameters: dict[str, Any], words: str
) -> None:
    install_sample(place)
    with pytest.raises(InvalidInput) as error:
        get_problem(name, **parameters)
    assert words in str(error.value)


def test_wrong_hyperparameters(place: Path) -> None:
    install_sample(place)
    for name, values, words in (
        ("qhn", {}, "unknown optimizer 'qhn'; did you mean 'qhm'? valid: gd, "),
        ("qhm", {"bet": 1.0}, "qhm: unknown hyperparameter 'bet'; did you mean"),
        ("qhm", {"beta": 1.0}, "qhm: beta = 1.0 is not valid"),
    ):
        with pytest.raises(InvalidInput) as error:
            get_optimizer(name, **values)
        assert words in str(error.value)


def test_what_its_constructor_raises_is_one_line(place: Path) -> None:
    install(place, "fussy", {"plugged_rules": RULES}, optimizers={"fussy": "plugged_rules:Fussy"})
    with pytest.raises(InvalidInput) as error:
        get_optimizer("fussy", share=2)
    line = RULES.splitlines().index(
        '            raise ValueError(f"share = {self.share} is above 1")'
    )
    where = f"{place}/plugged_rules.py, line {line + 1}"
    assert str(error.value) == f"fussy: ValueError: share = 2.0 is above 1 ({where})"


def test_all_are_listed_with_their_distribution(place: Path) -> None:
    install_sample(place)
    problems, optimizers = all_problems(), all_optimizers()
    assert list(problems) == [*PROBLEMS, "spring", "stiff-spring"]
    assert list(optimizers) == [*OPTIMIZERS, "qhm"]
    assert problems["xor"].kind is PROBLEMS["xor"]
    assert problems["xor"].origin is None
    assert problems["spring"].origin == Origin("surefoot-spring", "0.1.0")
    assert isinstance(get_optimizer("qhm"), optimizers["qhm"].kind)


def test_it_is_gone_when_it_is_uninstalled(tmp_path: Path) -> None:
    for stiffness, folder in ((1.0, tmp_path / "one"), (2.0, tmp_path / "two")):
        install(folder, "bowl", {"plugged_bowl": BOWL}, problems={"bowl": "plugged_bowl:Bowl"})
        code = (folder / "plugged_bowl.py").read_text(encoding="utf-8")
        (folder / "plugged_bowl.py").write_text(
            code.replace("(w * w)", f"{stiffness} * (w * w)"), encoding="utf-8"
        )
        with on_path(folder):
            loss, _ = get_problem("bowl").loss_and_gradient(np.ones((1, 2)))
            assert loss[0] == 2.0 * stiffness
            assert uninstalled({"bowl": "1.0", "surefoot-absent": "2.0"}) == [
                Origin("surefoot-absent", "2.0")
            ]
            assert module_origins() == {"plugged_bowl": Origin("bowl", "1.0")}
        with pytest.raises(InvalidInput, match="unknown problem 'bowl'"):
            get_problem("bowl")
        assert uninstalled({"bowl": "1.0"}) == [Origin("bowl", "1.0")]


# ----------------------------------------------------------------------------------- loaded late


def test_nothing_is_imported_before_it_is_asked_for(place: Path) -> None:
    mine = {"plugged_mine": "raise AssertionError('imported')\n"}
    install(
        place,
        "mine",
        mine,
        problems={"mine": "plugged_mine:X"},
        optimizers={"mine": "plugged_mine:X"},
    )
    program = """
import sys, trainers, tuning
from tuning.spec.job import read_spec
spec = read_spec({"problem": {"name": "xor"}, "search": {"optimizers": ["gd", "adam"]}})
spec.make_problem()
trainers.get_optimizer("nesterov")
for get in trainers.get_problem, trainers.get_optimizer:
    try:
        get("unknown")
    except trainers.InvalidInput as error:
        assert "mine" in str(error)
assert "plugged_mine" not in sys.modules
try:
    trainers.get_problem("mine")
except trainers.InvalidInput as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert "AssertionError: imported" in done.stdout  # the sentinel works


def test_it_is_loaded_once_and_a_broken_one_again_when_it_is_mended(place: Path) -> None:
    module = place / "plugged_count.py"
    install(
        place, "count", {"plugged_count": "raise OSError\n"}, problems={"c": "plugged_count:Bowl"}
    )
    with pytest.raises(InvalidInput, match=r"loading it raised OSError \(.*line 1\)"):
        get_problem("c")
    module.write_text(f"{BOWL}\nprint('loaded')\n{'#' * 50}", encoding="utf-8")
    kinds = {type(get_problem("c")), all_problems()["c"].kind, type(get_problem("c"))}
    assert len(kinds) == 1


def test_what_it_prints_meanwhile_is_kept_out_of_stdout(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = f"{BOWL}\nprint('welcome')\n"
    install(place, "loud", {"plugged_loud": code}, problems={"loud": "plugged_loud:Bowl"})
    get_problem("loud")
    assert capsys.readouterr() == ("", "welcome\n")


# ---------------------------------------------------------------------------- one that is broken


@pytest.mark.parametrize("name", WRONG_PROBLEMS)
def test_a_broken_problem_is_refused_by_name(broken: Path, name: str) -> None:
    with pytest.raises(InvalidInput) as error:
        get_problem(name)
    assert str(error.value) == line_of("problem", name, *WRONG_PROBLEMS[name], broken)
    assert get_problem("bowl").parameters == 2


@pytest.mark.parametrize("name", WRONG_OPTIMIZERS)
def test_a_broken_optimizer_is_refused_by_name(broken: Path, name: str) -> None:
    with pytest.raises(InvalidInput) as error:
        get_optimizer(name)
    assert str(error.value) == line_of("optimizer", name, *WRONG_OPTIMIZERS[name], broken)
    assert get_optimizer("plain").stability_limit == 2.0


def test_each_is_named_where_all_are_listed_and_the_others_are_there(broken: Path) -> None:
    with pytest.warns(RuntimeWarning) as told:
        assert list(all_problems()) == [*PROBLEMS, "bowl"]
    assert [str(warning.message) for warning in told] == [
        f"skipped: {line_of('problem', name, *WRONG_PROBLEMS[name], broken)}"
        for name in sorted(WRONG_PROBLEMS)
    ]
    with pytest.warns(RuntimeWarning) as told:
        assert list(all_optimizers()) == [*OPTIMIZERS, "plain"]
    assert [str(warning.message) for warning in told] == [
        f"skipped: {line_of('optimizer', name, *WRONG_OPTIMIZERS[name], broken)}"
        for name in sorted(WRONG_OPTIMIZERS)
    ]
    get_problem("bowl")  # of the others nothing is said: warnings are errors


def test_the_place_and_what_to_do_outlast_a_long_message(place: Path) -> None:
    install(place, "long", {"plugged_l": RAISING["lengthy"]}, problems={"lengthy": "plugged_l:X"})
    with pytest.raises(InvalidInput) as error:
        get_problem("lengthy")
    assert str(error.value).startswith("problem 'lengthy' of long 1.0 (plugged_l:X): loading it")
    assert str(error.value).endswith("plugged_l.py, line 1); mend or uninstall long")


def test_ctrl_c_is_not_swallowed(place: Path) -> None:
    code = {"plugged_c": "raise KeyboardInterrupt\n"}
    install(place, "slow", code, problems={"slow": "plugged_c:X"})
    with pytest.raises(KeyboardInterrupt):
        get_problem("slow")


def test_a_function_that_returns_something_else(place: Path) -> None:
    install(place, "empty", {"plugged_bowl": BOWL}, problems={"empty": "plugged_bowl:nothing"})
    with pytest.raises(InvalidInput, match=r"^problem empty: it returned a int; return a"):
        get_problem("empty")


def test_what_is_built_in_is_never_taken_from_elsewhere(place: Path) -> None:
    code = {"plugged_clash": "raise AssertionError('imported')\n"}
    install(
        place,
        "clash",
        code,
        problems={"xor": "plugged_clash:X"},
        optimizers={"adam": "plugged_clash:X"},
    )
    assert type(get_problem("xor")) is PROBLEMS["xor"]
    assert type(get_optimizer("adam")) is OPTIMIZERS["adam"]
    for what, name, listed in (
        ("problem", "xor", all_problems),
        ("optimizer", "adam", all_optimizers),
    ):
        words = f"{what} {name!r} of clash 1.0 (plugged_clash:X): {name!r} is built in; rename it"
        with pytest.warns(RuntimeWarning) as told:
            assert listed()[name].origin is None
        assert [str(w.message) for w in told] == [f"skipped: {words}, or uninstall clash"]


def test_of_two_plug_ins_of_one_name_neither_is_taken(place: Path) -> None:
    install(
        place,
        "first",
        {"plugged_bowl": BOWL},
        problems={"twice": "plugged_bowl:Bowl", "once": "plugged_bowl:Bowl"},
    )
    install(place, "second", {}, problems={"twice": "plugged_bowl:Steep"}, version="2.0")
    words = (
        "problem 'twice': first 1.0 (plugged_bowl:Bowl) and second 2.0 (plugged_bowl:Steep) each "
        "have one; uninstall all but one of them"
    )
    with pytest.raises(InvalidInput) as error:
        get_problem("twice")
    assert str(error.value) == words
    with pytest.warns(RuntimeWarning) as told:
        assert list(all_problems()) == [*PROBLEMS, "once"]
    assert [str(w.message) for w in told] == [f"skipped: {words}"]


def test_metadata_that_were_left_behind(place: Path) -> None:
    """As by an uninstallation that was cut off."""
    install(place, "half", {}, problems={"half": "plugged_half:X"})
    (place / "half-1.0.dist-info" / "METADATA").unlink()
    with pytest.raises(InvalidInput, match=r"problem 'half' of \? \? \(plugged_half:X\): loading"):
        get_problem("half")


def test_all_is_the_same_by_the_finder_of_importlib_metadata(place: Path) -> None:
    """MLflow imports it, and it takes the place of Python's own."""
    install(place, "half", {}, problems={"half": "plugged_half:X", "bowl": "plugged_bowl:X"})
    (place / "half-1.0.dist-info" / "METADATA").unlink()
    (place / "plugged_bowl.py").write_text(BOWL, encoding="utf-8")
    program = """
import trainers
for name in "half", "bowl":
    try:
        trainers.get_problem(name)
    except trainers.InvalidInput as error:
        print(error)
"""
    told = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", first + program],
            env={"PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for first in ("", "import importlib_metadata")
    ]
    assert told[0] == told[1]
    ends = ("No module named 'plugged_half'", "has no attribute 'X'")
    for line, end in zip(told[0].splitlines(), ends, strict=True):
        assert line.endswith(f"{end}; mend or uninstall ?")


# ---------------------------------------------------------------------------- held to the suite


def test_the_suite_passes_what_conforms_and_fails_what_does_not(place: Path) -> None:
    install_sample(place)
    install(
        place,
        "more",
        {"plugged_bowl": BOWL, "plugged_rules": RULES},
        problems={"bowl": "plugged_bowl:Bowl", "steep": "plugged_bowl:Steep"},
        optimizers={"plain": "plugged_rules:Plain", "double": "plugged_rules:Double"},
    )
    for name in ("spring", "stiff-spring", "bowl"):
        check_problem(get_problem(name))
    for name in ("qhm", "plain"):
        check_optimizer(get_optimizer(name))
    with pytest.raises(AssertionError, match="Steep: the gradient along parameter 0 is "):
        check_problem(get_problem("steep"))
    with pytest.raises(AssertionError, match=r"double: at 0\.5 of its stability_limit 2 a quad"):
        check_optimizer(get_optimizer("double"))
