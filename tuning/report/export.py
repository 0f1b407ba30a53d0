"""The report as text for other programs: CSV of the settings, and the job file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tuning.report.model import Report

__all__ = ["to_csv", "to_toml"]


def to_csv(report: Report) -> str:
    """One line a setting, the confirmations last, under a line of column names; numbers in full."""
    text: str = report.to_dataframe().to_csv(index=False, lineterminator="\n")
    return text


def to_toml(table: Mapping[str, Any]) -> str:
    """A job as a TOML file: plain values first, then a section for each table. None is left out,
    as TOML has none."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    sections = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    blocks = [_lines(plain)] if plain else []
    blocks += [f"[{_key(name)}]\n{_lines(section)}" for name, section in sections.items()]
    return "\n\n".join(block.rstrip() for block in blocks) + "\n"


def _lines(table: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None
    )


def _key(name: object) -> str:
    text = str(name)
    bare = text.isascii() and text.replace("-", "_").isidentifier()
    return text if bare else _value(text)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            # As in 1e-05, of which TOML takes the same; inf and nan are spelt alike too.
            return repr(value)
        case Mapping():
            inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(_value(item) for item in value if item is not None)}]"
        case _:
            # A JSON string is a TOML string, but for DEL.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
