"""Command lines that are wrong for sure, for every command and option of `surefoot`.

Read from click's own tree of commands, so a command that is added later is covered by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from hypothesis import strategies as st

from tests.support.wrong_jobs import SHORT, misspelt
from tuning.cli.main import cli

__all__ = ["calls", "unknown_commands", "wrong_lines"]

Line = tuple[tuple[str, ...], str]  # the arguments, and what the line that refuses them says

#: Job files, and ids of jobs, that are not there.
NO_FILES = ["absent.toml", ".", "folder.csv", "absent/job.toml", "rows.csv/x", "", "a\nb",
    "\x1b[1m", "x" * 300, "x" * 5000, "loop.csv", "job.toml", "rows.csv", "noise.csv",
    "\udcff"]  # fmt: skip
NO_IDS = ["absent-1", "..", ".", "", "../jobs", "a/b", "/", "/etc", "a\nb", "\x1b[1m", "\0", "é",
    "x" * 300, "x" * 5000, "\udcff", "-"]  # fmt: skip
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["x" * 300, "x" * 5000, "\x1b[1m", "a\nb"]
)


def calls(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The words that call each command below `group`, and the command."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from calls(command, (*path, name))
        else:
            yield (*path, name), command


def unknown_commands() -> st.SearchStrategy[str]:
    """Names of no command, most nearly one."""
    names = st.sampled_from(sorted(cli.commands)).flatmap(misspelt) | WORDS
    return names.map(lambda name: f"x{name}" if name in cli.commands or name[0] == "-" else name)


def wrong_lines(path: tuple[str, ...], command: click.Command) -> st.SearchStrategy[Line]:
    """One of everything that can be wrong with the arguments of `command`."""
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    needed = tuple(w for p in options if p.required for w in (p.opts[0], _right(p)))
    given = tuple("absent" for p in arguments if p.required)

    def line(*words: str, says: str) -> Line:
        return (*path, *needed, *words), says

    kinds: list[st.SearchStrategy[Line]] = [
        # Long names: click takes a unique beginning of one for the whole.
        WORDS.map(lambda word: line(*given, f"--x{word}", says="No such option")),
        st.just(line(*given, "surplus", says="unexpected extra argument")),
    ]
    for argument in arguments:
        wrong = NO_FILES if "toml" in (argument.metavar or "").lower() else NO_IDS
        kinds.append(
            st.sampled_from(wrong).map(
                lambda word: line(
                    "--",
                    word,
                    says=word if word.isascii() and word.isalnum() and len(word) <= SHORT else "",
                )
            )
        )
        if argument.required:
            kinds.append(st.just(line(says="Missing argument")))
    for option in options:
        name = max(option.opts, key=len)
        if option.is_flag:
            kinds.append(st.just(line(*given, f"{name}=5", says=name)))
        else:
            kinds.append(st.just(line(*given, name, says=name)))
            if (values := _wrong_value(option)) is not None:
                pairs = st.tuples(st.just(name), values)
                kinds.append(pairs.map(lambda p: line(*given, f"{p[0]}={p[1]}", says=p[0])))
        if option.required:
            kinds.append(st.just(((*path, *given), "Missing option")))
    return st.one_of(kinds)


def _right(option: click.Option) -> str:
    """A value that `option` takes."""
    if isinstance(option.type, click.Choice):
        return str(option.type.choices[0])
    return "0" if isinstance(option.type, click.types.IntParamType) else "x"


def _wrong_value(option: click.Option) -> st.SearchStrategy[str] | None:
    """Values that the type of `option` does not take; None where it takes any text."""
    kind = option.type
    if isinstance(kind, click.types.StringParamType):
        return None
    if isinstance(kind, click.Path):
        return st.just("folder.csv")
    if isinstance(kind, click.Choice):
        return st.sampled_from(kind.choices).flatmap(misspelt).map(lambda word: f"x{word}")
    words = WORDS.map(lambda word: f"x{word}") | st.sampled_from(["", "1.5", "²", "1e3"])
    if isinstance(kind, click.IntRange) and kind.max is not None:
        return words | st.integers(kind.max + 1).map(str)
    return words
