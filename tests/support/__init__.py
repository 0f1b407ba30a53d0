"""What tests share: results, reports and jobs made by hand, servers, programs, references.

Tests of every package come in; nothing here is a test.
"""

from __future__ import annotations

__all__: list[str] = []
