"""Do the example jobs still have the answers that are kept here? `python -m benchmarks.answers`

A change that is meant to alter no answer runs it before and after. `--keep` writes the answers of
this tree down. They are right on one kind of processor alone: others round otherwise.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import tuning

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
KEPT = Path(__file__).with_name("answers.json")
#: A job of every sampler's kind that the examples do not show, and of confirmations by validation.
SIXTH: dict[str, Any] = {
    "name": "wells",
    "problem": {"name": "wells", "dimensions": 3},
    "search": {"optimizers": ["gd", "nesterov", "rmsprop"], "sampler": "qmc", "settings": 12},
    "training": {"restarts": 32, "steps": 300, "sharpness_every": 50},
}


def answer(job: Path | dict[str, Any]) -> str:
    """A digest of the job's report, without the facts of the run."""
    with tempfile.TemporaryDirectory() as home:
        report = tuning.tune(job, workers="inline", home=home).to_dict()
    del report["run"]
    return hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()


def main(keep: bool) -> int:
    jobs: dict[str, Path | dict[str, Any]] = {p.stem: p for p in sorted(EXAMPLES.glob("*.toml"))}
    jobs["wells"] = SIXTH
    found = {}
    for name, job in jobs.items():
        found[name] = answer(job)
        print(name, found[name], flush=True)
    if keep:
        KEPT.write_text(json.dumps(found, indent=2) + "\n", encoding="ascii")
        return 0
    kept = json.loads(KEPT.read_text(encoding="ascii"))
    other = [name for name in jobs if found[name] != kept[name]]
    print(f"other answers: {', '.join(other)}" if other else "the answers are the same")
    return len(other)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--keep"]))
