"""Files that a job names by a relative path, named from the root."""

from __future__ import annotations

from pathlib import Path

from tuning.spec.job import JobSpec
from tuning.tracking.address import sqlite_address, sqlite_file

__all__ = ["absolute"]

_JOURNAL = "journal:///"


def absolute(spec: JobSpec, folder: Path) -> JobSpec:
    """`spec` with the files of `[storage]` and `[tracking]` named from the root: whoever reads it
    finds them, from anywhere.

    Args:
        folder: that of the job file, from which they are relative.
    """
    url, uri = spec.storage.url, spec.tracking.uri
    if url is not None and url.startswith(_JOURNAL):
        url = f"{_JOURNAL}{folder / url.removeprefix(_JOURNAL)}"
    if uri is not None and (file := sqlite_file(uri)) is not None:
        uri = sqlite_address(folder / file) + "".join(uri.partition("?")[1:])
    return spec.model_copy(
        update={
            "storage": spec.storage.model_copy(update={"url": url}),
            "tracking": spec.tracking.model_copy(update={"uri": uri}),
        }
    )
