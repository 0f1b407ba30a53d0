"""The pictures of a report, one kind a module; `style` is what they share.

Come in by `pictures`, which draws all that a report has. Matplotlib is imported when the
first picture is drawn.
"""

from __future__ import annotations

from tuning.report.plots.all import pictures

__all__ = ["pictures"]
