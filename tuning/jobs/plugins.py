"""The plug-ins that a job names, said where they are not installed."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trainers._plugins import uninstalled
from tuning.errors import InvalidInput

__all__ = ["naming_uninstalled"]


@contextmanager
def naming_uninstalled(job_id: str, versions: Mapping[str, str]) -> Iterator[None]:
    """Where what is done within is refused and a plug-in of the job is not installed, say that.

    Args:
        versions: of the distributions whose plug-ins the job names, by name.

    Raises:
        InvalidInput: as within, or which distribution to install.
    """
    try:
        yield
    except InvalidInput as error:
        missing = uninstalled(versions)
        if not missing:
            raise
        raise InvalidInput(
            f"job {job_id} uses the plug-in {' and '.join(map(str, missing))}, which is not "
            f"installed on {socket.gethostname()}: install it there, and on every worker"
        ) from error
