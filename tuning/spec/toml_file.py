"""A job file into a dict: TOML in UTF-8, and one line for whatever is wrong with the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from trainers import InvalidInput
from trainers._suggest import nearest

__all__ = ["read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """The table in the file at `path`.

    Raises:
        InvalidInput: there is no such file, or it is not TOML.
    """
    where = str(path) or "''"
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("\ufeff"):
            raise InvalidInput(f"{where} begins with a byte order mark; save it as UTF-8 without")
        data = tomllib.loads(text)
    except FileNotFoundError as error:
        near = (
            nearest(path.name, sorted(p.name for p in path.parent.glob("*.toml")))
            if path.parent.is_dir()
            else ""
        )
        raise InvalidInput(f"{where}: no such file{near if 'did you' in near else ''}") from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{where} is a folder; name the job file in it") from error
    except OSError as error:
        raise InvalidInput(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{where} is not UTF-8 text; a job file is TOML") from error
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        raise InvalidInput(f"{where} is not valid TOML: {error}") from error
    return data
