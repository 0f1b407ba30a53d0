"""What to paste into a script of one's own so that it trains as the best stable setting did.

One library a module, each of which writes from a `Training` and imports nothing of its library.
Come in by `recipes`, which asks them all; the tests run what they write in the library itself.
"""

from __future__ import annotations

from tuning.report.paste.all import recipes
from tuning.report.paste.recipe import Recipe

__all__ = ["Recipe", "recipes"]
