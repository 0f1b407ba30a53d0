"""`python -m tuning` is the command `surefoot`."""

from __future__ import annotations

from tuning.cli import main

main()
