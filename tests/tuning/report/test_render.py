"""How reports look: what must be on the page, in the table and in the pictures, and what must
not."""

from __future__ import annotations

import io
import json
import re
import threading
import tomllib
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from tests.support import made_reports
from tuning.report.export import to_csv, to_toml
from tuning.report.formatting import decades, number, percent, rate, rate_cell, seconds
from tuning.report.html import page
from tuning.report.labels import STACKS, STATUS_COLOURS, stack
from tuning.report.model import Report
from tuning.report.notebook import fragment
from tuning.report.plots.all import pictures
from tuning.report.plots.path_summary import story
from tuning.report.terminal import print_report, text
from tuning.statistics.intervals import Rate, wilson

Make = Callable[[], Report]
VARIANTS: dict[str, Make] = {
    "usual": made_reports.report,
    "no stable rate": made_reports.no_stable,
    "one setting": made_reports.single,
    "flat": made_reports.flat,
    "no minima": made_reports.no_minima,
    "strange numbers": made_reports.strange,
    "hostile words": made_reports.hostile,
    "edge of stability": made_reports.edge,
    "ring": made_reports.ring,
    "not confirmed": made_reports.unconfirmed,
}
every = pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)


@cache
def drawn(make: Make) -> dict[str, bytes]:
    """The pictures of a variant, drawn once for all tests."""
    return pictures(make())


class Elements(HTMLParser):
    """The elements of a page with their attributes, its text, and whether every element was closed
    in order."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open[-1:] == ["script"] else self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


# --------------------------------------------------------------------------------------------
# formats


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (0.0, "0"),
        (0.3, "0.3"),
        (1 / 3, "0.333"),
        (0.0001234, "0.000123"),
        (0.00001234, "1.23e-5"),
        (-0.0012345, "-0.00123"),
        (9.996, "10"),
        (1234.5, "1,230"),
        (9996.0, "1e4"),
        (123456.0, "1.23e5"),
        (1e300, "1e300"),
    ],
)
def test_numbers_have_three_significant_digits(value: float | None, written: str) -> None:
    assert number(value) == written


def test_a_number_written_is_the_number_to_its_digits() -> None:
    for value in np.geomspace(1e-12, 1e12, 500):
        # Half a unit in the last of 4 digits: 5e-4 at worst, for a mantissa of 1.
        assert float(number(float(value), 4).replace(",", "")) == pytest.approx(value, rel=5.01e-4)


def test_a_rate_has_its_interval_and_its_count() -> None:
    found = wilson(8, 64, undecided=3)
    # Wilson 1927 at 95 %: 8/64 from 6.47 %, and 11/64 to 28.2 %.
    assert rate(found) == "13.1 % [6.5, 28.2] (8/64, 3 not judged)"
    assert rate_cell(found) == "13.1 [6.5, 28.2] (8/64, 3?)"
    assert rate_cell(found, short=True) == "13 [6, 28] (8/64, 3?)"
    assert rate(Rate(0, 0, 0.0, 1.0)) == "–"
    assert rate(wilson(0, 64, undecided=52)) == "not judged (52 of 64)"
    assert rate(wilson(0, 64, undecided=52), 52) == "not judged (52 of 64 still descending)"


def test_percent_is_not_rounded_to_never_or_always() -> None:
    assert [percent(p) for p in (0.0, 1e-5, 0.9999, 1.0)] == [
        "0.0 %",
        "<0.1 %",
        ">99.9 %",
        "100.0 %",
    ]


def test_ratios_and_durations() -> None:
    assert decades(1.0) == "1 decades (× 10)"
    assert [seconds(s) for s in (0.42, 125.0, 7500.0)] == ["0.42 s", "2 min 5 s", "2 h 5 min"]


# -------------------------------------------------------------------------------------------
# pictures


@every
def test_pictures_are_whole(make: Make) -> None:
    for name, data in drawn(make).items():
        image = Image.open(io.BytesIO(data))
        image.load()
        assert 1000 <= image.width <= 4000, name
        assert 600 <= image.height <= 4000, name
        assert "Software" not in image.info
        colours = np.asarray(image.convert("RGB"))
        assert (colours[0, 0] == 255).all()
        assert 0.02 < (colours < 250).any(axis=2).mean() < 0.7, name


@pytest.mark.parametrize("make", [made_reports.report, made_reports.strange])
def test_pictures_are_the_same_twice(make: Make) -> None:
    assert pictures(make()) == drawn(make)


def test_which_pictures_there_are() -> None:
    assert list(drawn(made_reports.report)) == [
        "landscape.png",
        "outcomes.png",
        "costs.png",
        "losses.png",
        "minima.png",
    ]
    assert list(drawn(made_reports.edge)) == [
        "landscape.png",
        "outcomes.png",
        "costs.png",
        "losses.png",
        "sharpness.png",
        "minima.png",
    ]
    assert list(drawn(made_reports.single)) == ["outcomes.png", "costs.png", "losses.png"]
    assert list(pictures(replace(made_reports.no_stable(), curves={}))) == ["outcomes.png"]


def test_the_edge_of_stability_is_in_words_too() -> None:
    said = "The median sharpness ends within 10 % of its limit, 2 / learning rate, at 3 of 6 rates"
    assert f"gd: {said}: 0.03, 0.3, 0.95." in " ".join(text(made_reports.edge(), 200).split())
    html = Elements(page(made_reports.edge()))
    assert f"gd: {said}: 0.03, 0.3, 0.95." in html.text
    for other in (text(made_reports.report()), page(made_reports.report())):
        assert "Edge of stability" not in other


def test_pictures_leave_no_global_state() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    made: list[dict[str, bytes]] = []
    threads = [
        threading.Thread(target=lambda: made.append(pictures(made_reports.single())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0] == made[1]
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ("settled/global-minimum", "settled in the global minimum"),
        ("descending/global-minimum", "bound for the global minimum"),
        ("settled/local-minimum", "trapped: settled in a local minimum"),
        ("descending/local-minimum", "trapped: bound for a local minimum"),
        ("settled/saddle", "on a plateau or at a saddle"),
        ("descending/plateau", "on a plateau or at a saddle"),
        ("descending/undetermined", "not judged"),
        ("unstable/plateau", "unstable: swings or hovers"),
        ("unstable/local-minimum", "unstable: swings or hovers"),
        ("unstable/global-minimum", "unstable: swings or hovers"),
        ("oscillating/global-minimum", "bound for the global minimum"),
        ("hovering/local-minimum", "trapped: bound for a local minimum"),
        ("diverged/none", "diverged"),
    ],
)
def test_a_restart_is_in_one_stack(labels: str, name: str) -> None:
    assert stack({labels: 5}) == dict.fromkeys(STACKS, 0) | {name: 5}


def test_unstable_restarts_are_the_two_upper_stacks() -> None:
    for row in made_reports.report().settings:
        counts = stack(row.joint)
        assert sum(counts.values()) == row.restarts
        assert counts["unstable: swings or hovers"] + counts["diverged"] == row.unstable.count


def test_colours_differ_without_colour_vision_too() -> None:
    def seen(colour: str, matrix: ArrayLike) -> NDArray[np.float64]:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return np.asarray(np.clip(np.asarray(matrix) @ linear, 0, 1) ** (1 / 2.2))

    # Machado, Oliveira and Fernandes 2009, severity 1: protan and deutan.
    protan = [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
    deutan = [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
    for matrix in (np.eye(3), protan, deutan):
        points = np.array([seen(colour, matrix) for colour in STACKS.values()])
        # Neighbours in a bar differ by a tenth of the way from black to white, and more.
        assert np.linalg.norm(np.diff(points, axis=0), axis=1).min() > 0.1 * np.sqrt(3)


def test_the_landscape_tells_its_story() -> None:
    land = made_reports.bowl()
    slow, _, fast = land.paths
    # Of -1.7, 0.4 and 1.6 the last two start right of the barrier, at 0.0755.
    assert story(slow, land) == "2 are trapped, 1 settles"
    # Beyond |w| of about 1.3 a step of 0.6 throws further out than it came from; 0.4 is caught
    # between.
    assert "diverge" in story(fast, land)
    moved = replace(slow, outcomes=("descending", "descending", "oscillating"))
    assert story(moved, land) == "2 are still descending, 1 oscillates"


# -----------------------------------------------------------------------------------------------
# page


@every
@pytest.mark.parametrize("view", [page, fragment])
def test_a_page_needs_nothing_else(make: Make, view: Callable[[Report], str]) -> None:
    html = view(make())
    assert view(make()) == html
    elements = Elements(html)
    assert elements.open == []
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"link", "iframe", "object", "embed", "base", "form"}
    if view is page:
        data, script = elements.scripts
        json.loads(data)
        # That script alone may run.
        digest = b64encode(sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'\"" in html
    else:
        assert elements.scripts == []
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "href" not in attributes
        if "src" in attributes:
            assert str(attributes["src"]).startswith("data:image/png;base64,")
    assert html.count("url(") == html.count("url(#")
    assert "@import" not in html
    assert "http:" not in html
    assert "https:" not in html
    assert len(html) < 3_000_000


def test_the_page_says_it_all() -> None:
    made = made_reports.report()
    words = Elements(page(made)).text
    for part in (
        "Best stable learning rate: 0.3 with gd",
        "Unstable on fresh starts: 0.0 % [0.0, 5.7] (0/64), 95 % sure at most 4.6 %.",
        "At 2 times the rate, 0.6: 0.0 % [0.0, 5.7] (0/64)",
        "Confirmed with 64 fresh starts, at look 3 of 4.",
        "Trapped in a local minimum: 31.2 % [21.2, 43.4] (20/64).",
        made.explanation,
        made.warnings[0],
        "Unstable from about 1.07, between",
        "35.9 % [25.3, 48.2] (23/64)",
        "31 %",
        "470 sightings",
        "The target loss is 0.002: the known global minimum, and its tolerance.",
        "the upper Clopper-Pearson bound on P(unstable)",
        'optimizers = ["gd", { name = "adam", beta1 = 0.8 }]',
        "Of this run, not part of the answer",
        "2 min 5 s",
        "adam(beta1=0.8) at 0.3, the best of its rates that look stable. Of the same 64 fresh "
        "starts, reached the target under the recommended setting only: 3; under adam(beta1=0.8) "
        "only: 0 (McNemar: p = 0.25). Expected cost: 1,230 steps against 2,350 steps.",
    ):
        assert part in words, part


def test_a_ring_and_a_missing_rival_are_said() -> None:
    made = made_reports.ring()
    for words in (Elements(page(made)).text, " ".join(text(made).split())):
        for part in (
            "Stable at every tried rate up to 0.003, and unstable at 0.03; no cliff is fitted",
            "adam(beta1=0.8): no stable rate to compare with.",
            "★ recommended",
        ):
            assert part in words, part
    row = made.settings[4]
    chip = f'style="background: {STATUS_COLOURS[row.status]}"></span>★ {row.status}</td>'
    assert chip in page(made)


def test_what_is_not_confirmed_is_not_said_to_be() -> None:
    made = made_reports.unconfirmed()
    for words in (Elements(page(made)).text, " ".join(text(made).split())):
        answer, _, _ = words.partition("Settings")
        assert "Best learning rate that looks stable, not confirmed: 0.3 with gd" in answer
        assert "Unstable in the search: 0.0 % [0.0, 5.7] (0/64), by these alone at most" in answer
        assert made.explanation in answer
        assert "onfirmed with" not in answer
        assert "fresh starts:" not in answer
        assert "times the rate" not in answer


def test_no_stable_rate_is_said_first() -> None:
    made = made_reports.no_stable()
    for words in (Elements(page(made)).text, Elements(fragment(made)).text, text(made)):
        assert "No stable learning rate was found" in words
        assert made.explanation in words
        assert "Best stable learning rate" not in words


@pytest.mark.parametrize("view", [page, fragment])
def test_what_users_wrote_is_escaped(view: Callable[[Report], str]) -> None:
    html = view(made_reports.hostile())
    assert html.count("<script") == (2 if view is page else 0)
    assert made_reports.EVIL not in html
    assert "<img src=x" not in html
    assert "\x1b" not in html
    assert made_reports.EVIL in Elements(html).text


def test_validation_loss_has_a_column_when_there_is_one() -> None:
    made = made_reports.report()
    rows = (replace(made.settings[0], validation_loss=0.7654321), *made.settings[1:])
    assert "validation loss" not in Elements(page(made)).text
    words = Elements(page(replace(made, settings=rows))).text
    assert "validation loss" in words
    assert "0.765" in words


# ----------------------------------------------------------------------------------------------
# table


@every
@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_table_fits_its_width(make: Make, width: int) -> None:
    lines = text(make(), width).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert not [line for line in lines if "…" in line]
    assert [c for line in lines for c in line if unicodedata.category(c) == "Cc"] == []


def test_no_table_is_narrower_than_80() -> None:
    assert text(made_reports.report(), 20) == text(made_reports.report(), 80)
    narrow = Console(file=io.StringIO(), width=60, _environ={})  # a terminal's own: numbers stay
    print_report(made_reports.report(), narrow)
    printed = narrow.file.getvalue() if isinstance(narrow.file, io.StringIO) else ""
    assert [line.rstrip() for line in printed.splitlines()] == text(
        made_reports.report(), 80
    ).splitlines()


def test_the_table_s_rows_are_by_optimizer_and_rate() -> None:
    lines = text(made_reports.report()).splitlines()
    start, end = lines.index("Settings"), lines.index("Confirmations, on fresh starts")
    found = [line[1:].split()[0] for line in lines[start:end] if re.match(r"[★✓·✗] +[\d.]", line)]
    assert found == ["0.003", "0.03", "0.3", "0.95", "1.2", "3"] * 2
    best = [line for line in lines if line.startswith("★") and "35.9" in line]
    assert len(best) == 1
    assert best[0].split() == [
        "★",
        "0.3",
        "64",
        "0",
        "0",
        "0",
        "<0.1",
        "35.9",
        "[25.3,",
        "48.2]",
        "(23/64)",
        "0.0123",
        "1,230",
    ]


def test_colour_is_asked_for() -> None:
    assert "\x1b[" not in text(made_reports.report())
    coloured = text(made_reports.report(), colour=True)
    assert "\x1b[" in coloured
    words = "".join(re.sub(r"\x1b\[[\d;]*m", "", coloured).split())
    assert words == "".join(text(made_reports.report()).split())


def test_a_long_list_of_minima_is_cut() -> None:
    words = text(made_reports.strange())
    assert "and 28 more" in words
    assert words.count("e12") > 12


def test_flat_minima_and_plateaus_are_shown() -> None:
    made = made_reports.flat()
    words = text(made)
    assert len(re.findall(r"flat$", words, re.MULTILINE)) == 2
    assert "flat: does not curve in some directions" in words
    assert "17 plateau" in words
    assert "flat: does not" not in text(made_reports.report())
    shown = page(made)
    assert shown.count("<td>flat</td>") == 2
    assert "4 saddle, 17 plateau" in shown
    kinds = [(m["flat"], m["largest_curvature"]) for m in made.to_dict()["minima"]]
    assert kinds == [(False, 8.9), (True, 7.1), (True, None)]
    stacked = stack(made.settings[0].joint)
    assert stacked["on a plateau or at a saddle"] == 21


def test_a_report_is_its_table_in_print() -> None:
    made = made_reports.single()
    assert str(made) == text(made)
    assert made.to_html() == page(made)


# ----------------------------------------------------------------------------------------------
# files


@every
def test_csv_reads_back(make: Make) -> None:
    made = make()
    table = pandas.read_csv(io.StringIO(to_csv(made)))
    rows = made.rows
    assert table["number"].tolist() == [row.number for row in rows]
    assert table["learning_rate"].tolist() == [row.learning_rate for row in rows]
    assert table["trapped.high"].tolist() == [row.trapped.high for row in rows]
    assert table["optimizer"].tolist() == [row.optimizer for row in rows]


def test_job_reads_back_as_toml() -> None:
    job = {
        "name": 'quotes " and \\ and\nlines\x00\x1f\x7f é 𝕏 </pre>',
        "seed": 2**62,
        "ok": True,
        "problem": {"a key": "b", "": 1, "tilt": -1e-5, "large": 1e22, "hidden": [3, 4]},
        "search": {
            "optimizers": ["gd", {"name": "adam", "beta1": 0.9}, {}],
            "nested": {"low": 1.0},
            "none": [],
        },
        "empty": {},
    }
    assert tomllib.loads(to_toml(job)) == job
    assert tomllib.loads(to_toml({"gone": None, "here": {"gone": None}})) == {"here": {}}
