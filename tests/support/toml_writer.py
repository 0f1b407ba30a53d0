"""Python values as TOML, on one line each: so that a job file can be built around what is wrong."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["document", "value"]


def document(job: Mapping[str, Any]) -> str:
    """The job as TOML, one line for each top key."""
    return "".join(f"{_text(key)} = {value(content)}\n" for key, content in job.items())


def value(content: Any) -> str:
    """One value; tables are inline."""
    match content:
        case bool():
            return "true" if content else "false"
        case float() if not math.isfinite(content):
            return str(content)
        case int():
            # In base 16: Python writes no more than 4,300 decimal digits.
            return hex(content) if content > 2**64 else str(content)
        case float():
            return repr(content) if "." in repr(content) else repr(content).replace("e", ".0e")
        case datetime.date():
            return content.isoformat()
        case str():
            return _text(content)
        case list():
            return f"[{', '.join(map(value, content))}]"
        case Mapping():
            inner = ", ".join(f"{_text(key)} = {value(item)}" for key, item in content.items())
            return f"{{{inner}}}"
    raise TypeError(f"TOML has no {type(content).__name__}")


def _text(text: str) -> str:
    """JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
