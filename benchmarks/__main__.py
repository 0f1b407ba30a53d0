"""`python -m benchmarks [part ...]`, parts as in `PARTS`: print what is measured, and keep that
of all parts in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.core import core
from benchmarks.engine import engine
from benchmarks.job import job
from benchmarks.judging import judging
from benchmarks.minutes import minutes
from benchmarks.samplers import samplers
from benchmarks.search import search
from benchmarks.service import service
from benchmarks.torch import torch_
from tuning.analysis.problem_info import host_facts

PARTS = {
    "engine": ("Restart-steps a second on one core: the engine against a plain NumPy loop", engine),
    "job": ("Restarts a second of a whole job: 64 restarts x 500 steps of 2-16-1", job),
    "judging": (
        "Truth at the scale of real training: `python -m benchmarks judging`, on one core",
        judging,
    ),
    "search": ("The search for the cliff, against known truths", search),
    "samplers": ("The search for the cliff, against Optuna's samplers", samplers),
    "core": ("The coordinator's core with a fake clock and 10,000 workers", core),
    "torch": ("Modules of PyTorch: restart-steps a second on one core", torch_),
    "minutes": ("What minutes buy: modules of PyTorch, from the call to the report", minutes),
    "service": ("A job on a warm cluster of two workers, all of it on this machine", service),
}
RESULTS = Path(__file__).with_name("RESULTS.md")


def main(names: list[str]) -> None:
    """Measure the parts named, or all."""
    host = host_facts()
    lines = [
        "# Benchmarks",
        "",
        "Measured by `make bench`; each ratio side by side in one run.",
        "",
    ]
    lines += [
        f"{datetime.now(UTC):%Y-%m-%d}: " + ", ".join(f"{k} {v}" for k, v in host.items()),
        "",
    ]
    for name in names or PARTS:
        title, measure = PARTS[name]
        print(f"{title} ...", flush=True)
        table = measure()
        print("\n".join(table), flush=True)
        lines += [f"## {title}", "", *table, ""]
    if not names:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")
        print(f"kept in {RESULTS}")


if __name__ == "__main__":
    main(sys.argv[1:])
