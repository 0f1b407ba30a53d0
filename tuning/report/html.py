"""The report as a page that needs nothing else: its script and its data are within, no address is.

The page draws its pictures itself, as SVG in the colours of its theme and as wide as there is room:
Plotly's script alone has 4.9 MB, ours 34 kB (ARCHITECTURE.md, decisions). That script and no other
may run, by its hash: what users wrote never does.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tuning.report import formatting, instead, text
from tuning.report.columns import columns
from tuning.report.export import to_toml
from tuning.report.labels import GLOSSARY, MARKS, STATUS_COLOURS
from tuning.report.model import Report, SettingRow, Status
from tuning.report.page_data import page_data
from tuning.report.plots.all import pictures
from tuning.report.theory import curvature_limits

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["fragment", "page"]

_SCRIPTS = ("chart.js", "pictures.js", "settings.js", "slider.js", "page.js")
_CAPTIONS = {
    "landscape.png": "The loss over the one weight, and a few restarts walking on it.",
    "outcomes.png": (
        "What became of the restarts at each learning rate. Ticks below are the rates that were "
        "tried. The cliff, its "
        "interval and the lowest rate that failed are marked above."
    ),
    "costs.png": "What success costs: the steps spent by all restarts for each that reached the "
    "target. Hollow points are not stable; the lines are the recommended rate and its margin.",
    "losses.png": "Median loss of the restarts; a curve ends with a cross where half of them "
    "have diverged.",
    "sharpness.png": "The edge of stability: the largest curvature along the way, in units of the "
    "limit above which the optimizer leaves a quadratic. Training often drives it up to the dashed "
    "line and keeps it there.",
    "minima.png": "The distinct minima that were found: how good, how easily found, how sharp.",
}


def page(report: Report) -> str:
    """One self-contained HTML page; whatever users wrote is escaped."""
    from markupsafe import Markup

    script = _script()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return _template("report.html").render(
        _content(report),
        columns=columns(report.settings, partial(instead.loss, report)),
        costly=any(row.cost for row in report.settings),
        limited=bool(curvature_limits(report)),
        statuses=list(Status),
        data=Markup(page_data(report)),  # no `<` is in it
        script=Markup(script),
        script_hash=digest,
    )


def fragment(report: Report) -> str:
    """A compact version for a notebook: the answer, the warnings, the pictures, and the settings
    folded away."""
    return _template("fragment.html").render(
        _content(report), pictures=_embedded(pictures(report)), columns=columns(report.settings)
    )


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tuning.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formatting.number,
        "percent": formatting.percent,
        "rate": formatting.rate,
        "plain": formatting.plain,
        "seconds": formatting.seconds,
        "thousands": formatting.count,
        "bare": lambda value: "" if value is None else value,
        "by_rate": _by_rate,
        "mark": MARKS.__getitem__,
        "colour": STATUS_COLOURS.__getitem__,
    }
    return environment.get_template(name)


def _width(png: bytes) -> int:
    """Pixels, of which the pictures have two to a point: from the header, PNG specification
    11.2.2."""
    return int.from_bytes(png[16:20], "big")


def _embedded(drawn: Mapping[str, bytes]) -> list[tuple[str, str, int, str]]:
    return [
        (name.removesuffix(".png"), b64encode(png).decode(), _width(png) // 2, _CAPTIONS[name])
        for name, png in drawn.items()
    ]


@cache
def _script() -> str:
    folder = files("tuning.report") / "templates"
    return "".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)


def _by_rate(rows: Sequence[SettingRow]) -> list[SettingRow]:
    return [row for group in text.sorted_settings(tuple(rows)).values() for row in group]


def _content(report: Report) -> dict[str, Any]:
    best = report.best_stable
    return {
        "report": report,
        "title": text.title(report),
        "headline": text.headline(report),
        "bounds": text.bounds(report),
        "hyperparameters": {} if best is None else best.hyperparameters,
        "settings": text.sorted_settings(report.settings),
        "confirmations": text.sorted_settings(report.confirmations),
        "rivals": text.sorted_settings(report.rivals),
        "basins": text.basin_sentences(report),
        "flat": text.FLAT,
        "level": text.LEVEL,
        "cliffs": text.cliff_sentences(report),
        "beside": text.probes_sentence(report),
        "comparisons": text.comparison_sentences(report),
        "sharpness": text.sharpness_sentences(report),
        "unseen": text.unseen_sentences(report.unseen),
        "reference": text.reference(report),
        "glossary": GLOSSARY,
        "marks": text.marks(),
        "loss": partial(instead.loss, report),
        "job": to_toml(report.job),
        "recipes": {text.LIBRARIES[name]: str(of) for name, of in report.to_paste.items()},
    }
