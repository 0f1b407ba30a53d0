"""A report to the screen or to a file, in the form that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainers.errors import InvalidInput

if TYPE_CHECKING:
    from tuning.report.model import Report

__all__ = ["form_option", "full_option", "hand_over", "output_option"]

form_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "html", "md"]),
    help="Default: table.",
)
output_option = click.option(
    "--output", type=click.Path(dir_okay=False), help="Write to this file instead of the screen."
)
full_option = click.option(
    "--full", is_flag=True, help="Not the answer alone: every setting, the cliffs, the minima."
)


def hand_over(answer: Report, form: str, output: str | None, *, full: bool) -> None:
    """Print it, or write it to the file `output`.

    Raises:
        InvalidInput: the file cannot be written, or the form has nothing that `full` could add.
    """
    from rich.console import Console

    from tuning.report.export import to_csv
    from tuning.report.markdown import to_markdown
    from tuning.report.terminal import show, text

    if full and form != "table":
        raise InvalidInput(f"--full is for the table; {form} has everything already")
    if form == "table" and output is None:
        show(answer, Console(highlight=False), full=full)
        return
    forms: dict[str, Callable[[Report], str]] = {
        "table": lambda r: text(r, full=full),
        "json": lambda r: r.to_json(),
        "csv": to_csv,
        "html": lambda r: r.to_html(),
        "md": to_markdown,
    }
    content = forms[form](answer)
    if output is None:
        click.echo(content, nl=not content.endswith("\n"))
        return
    try:
        Path(output).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"--output {output}: {error.strerror}") from error
