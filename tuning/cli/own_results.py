"""The command for who trains with scripts of their own."""

from __future__ import annotations

from typing import Any

import click

from trainers.errors import InvalidInput
from tuning.cli.exit_codes import ExitCode
from tuning.cli.hand_over import form_option, full_option, hand_over, output_option
from tuning.cli.inspect import json_option

__all__ = ["RESULTS_COMMANDS"]


@click.command()
@click.argument("results", metavar="RESULTS.csv")
@form_option
@output_option
@click.option("--max-unstable", type=float, help="As in [stability]; default: 0.05.")
@click.option("--margin", type=float, help="As in [stability]; default: 2.")
@click.option("--known-minimum", type=float, help="The lowest loss there is, if it is known.")
@click.option("--steps", type=int, help="That each training took, for the cost.")
@full_option
@json_option
def verdict(
    results: str,
    form: str | None,
    output: str | None,
    max_unstable: float | None,
    margin: float | None,
    known_minimum: float | None,
    steps: int | None,
    full: bool,
    as_json: bool,
) -> ExitCode:
    """Report on trainings of your own: a .csv, .parquet or .json file with a row for each.

    Its columns: learning_rate, seed and loss (the final one, or a JSON list of those along the
    run); if you like optimizer, diverged, start_loss and validation_loss. A loss that is not finite
    has diverged. Exit code 3 if no rate looks stable.
    """
    from tuning.own_results import verdict as answer_to

    if as_json and form not in (None, "json"):
        raise InvalidInput(f"--json and --format {form} are two forms; drop one")
    asked: dict[str, Any] = {"max_unstable": max_unstable, "margin": margin}
    report = answer_to(
        results,
        stability={key: value for key, value in asked.items() if value is not None},
        known_minimum=known_minimum,
        steps=steps,
    )
    hand_over(report, "json" if as_json else form or "table", output, full=full)
    return ExitCode.NONE_STABLE if report.best_stable is None else ExitCode.DONE


RESULTS_COMMANDS = (verdict,)
