"""The commands about one restart of a job: why it has its labels, and the same training again."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout

import click

from tuning.cli.exit_codes import ExitCode
from tuning.cli.inspect import job_argument, json_option

__all__ = ["RESTART_COMMANDS"]

setting_option = click.option(
    "--setting", type=int, required=True, help="Its number, as in the report as csv."
)
restart_option = click.option("--restart", type=int, required=True, help="Index of the restart.")


@click.command()
@job_argument
@setting_option
@restart_option
@click.option(
    "--train-again",
    is_flag=True,
    help="Train the restart's task again, as `replay` does, and show the tail step by step.",
)
@json_option
def explain(job_id: str, setting: int, restart: int, train_again: bool, as_json: bool) -> ExitCode:
    """Say why one restart of a job has its labels: unstable or not, trapped or not.

    Prints the facts, each rule with both of its numbers in the order in which they are applied, and
    the losses as a small plot. All of it comes from the study at once, with the losses at its
    checkpoints.
    """
    from trainers.outcomes.explain import explanation, explanation_dict
    from tuning.runner.replay import Chosen, replay

    chosen = Chosen.of(job_id, setting=setting, restart=restart, home=None)
    differences: tuple[str, ...] = ()
    if train_again:
        with _prints_aside(as_json):
            again = replay(job_id, setting=setting, restart=restart)
        outcome, differences = again.outcome, again.differences
    else:
        outcome = chosen.outcome()
    rate = chosen.result.setting.learning_rate
    if as_json:
        which = {
            "setting": setting,
            "optimizer": chosen.optimizer,
            "learning_rate": rate,
            "restart": restart,
        }
        told = {**which, **explanation_dict(outcome), "differences": list(differences)}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"restart {restart} of setting {setting}: {chosen.optimizer} at rate {rate:.6g}")
        click.echo("\n".join(explanation(outcome, ascii_only=not _prints_braille())))
        if differences:
            click.echo(f"differs from the study in: {', '.join(differences)}")
        elif not train_again:
            click.echo("at the checkpoints of the study; --train-again for the tail, step by step")
    return ExitCode.FAILED if differences else ExitCode.DONE


def _prints_aside(as_json: bool) -> AbstractContextManager[object]:
    """What a user's problem prints while it trains must not spoil the JSON."""
    return redirect_stdout(sys.stderr) if as_json else nullcontext()


def _prints_braille() -> bool:
    """Whether what stdout is written in has more than ASCII."""
    try:
        "\u28ff\u2500".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@click.command()
@job_argument
@setting_option
@restart_option
@json_option
def replay(job_id: str, setting: int, restart: int, as_json: bool) -> ExitCode:
    """Train one restart of a job again, bit for bit, and say what became of it.

    Of a job with `sharpness_every` under [training] it also shows the sharpness along the way.
    """
    from tuning.cli.replay_view import replay_dict, replay_lines
    from tuning.runner.replay import replay as train_again

    with _prints_aside(as_json):
        again = train_again(job_id, setting=setting, restart=restart)
    click.echo(
        json.dumps(replay_dict(again), indent=2) if as_json else "\n".join(replay_lines(again))
    )
    return ExitCode.FAILED if again.differences else ExitCode.DONE


RESTART_COMMANDS = (explain, replay)
