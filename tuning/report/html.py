"""The report as a page that needs nothing else: its script and its data are within, no address is.

The page draws its pictures itself, as SVG in the colours of its theme and as wide as there is room:
Plotly's script alone has 4.9 MB, ours 34 kB (ARCHITECTURE.md, decisions). That script and no other
may run, by its hash: what users wrote never does.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import Any

from tuning.report import instead, text
from tuning.report.columns import columns
from tuning.report.export import to_toml
from tuning.report.labels import GLOSSARY
from tuning.report.model import Report, Status
from tuning.report.page_data import page_data
from tuning.report.template import template
from tuning.report.theory import curvature_limits

__all__ = ["page"]

_SCRIPTS = ("chart.js", "pictures.js", "settings.js", "slider.js", "page.js")


def page(report: Report) -> str:
    """One self-contained HTML page; whatever users wrote is escaped."""
    from markupsafe import Markup

    script = _script()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return template("report.html").render(
        _content(report),
        columns=columns(report.settings, at_minimum=report.at_minimum),
        costly=any(row.cost for row in report.settings),
        limited=bool(curvature_limits(report)),
        statuses=list(Status),
        data=Markup(page_data(report)),  # no `<` is in it
        script=Markup(script),
        script_hash=digest,
    )


@cache
def _script() -> str:
    folder = files("tuning.report") / "templates"
    return "".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)


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
