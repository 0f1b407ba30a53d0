"""The report as a page that needs nothing else: no script, no address, the pictures within."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from tuning.report import text
from tuning.report.columns import columns
from tuning.report.export import to_toml
from tuning.report.labels import GLOSSARY
from tuning.report.model import Report
from tuning.report.plots.all import pictures
from tuning.report.template import template

__all__ = ["page"]

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


def page(report: Report, drawn: Mapping[str, bytes] | None = None) -> str:
    """One self-contained HTML page; whatever users wrote is escaped.

    Args:
        drawn: the report's pictures, if they have been drawn already.
    """
    shown = pictures(report) if drawn is None else drawn
    return template("report.html").render(_content(report, shown))


def _width(png: bytes) -> int:
    """Pixels, of which the pictures have two to a point: from the header, PNG specification
    11.2.2."""
    return int.from_bytes(png[16:20], "big")


def _content(report: Report, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    best = report.best_stable
    return {
        "report": report,
        "title": text.title(report),
        "headline": text.headline(report),
        "bounds": text.bounds(report),
        "hyperparameters": {} if best is None else best.hyperparameters,
        "pictures": [
            (name.removesuffix(".png"), b64encode(png).decode(), _width(png) // 2, _CAPTIONS[name])
            for name, png in drawn.items()
        ],
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
        "job": to_toml(report.job),
        "recipes": {text.LIBRARIES[name]: str(of) for name, of in report.to_paste.items()},
        "columns": columns(report.settings),
    }
