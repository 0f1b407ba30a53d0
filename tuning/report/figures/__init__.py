"""A report's figures for a notebook, by Plotly: one kind a module, `kinds` is their table.

Come in by `Report.plot`. Plotly is imported here and nowhere else, and here when the first figure
is drawn. Colours, order and words are those of `labels`.
"""

from __future__ import annotations

__all__: list[str] = []
