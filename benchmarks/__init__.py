"""Speed, as ratios side by side in one run: `make bench`, or `python -m benchmarks engine job`."""

from __future__ import annotations
