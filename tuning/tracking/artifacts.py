"""Where an experiment in a database keeps its files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tuning.tracking.address import SERVERS, sqlite_file

__all__ = ["PROXIED", "ArtifactPlace", "artifact_place"]

#: An address of files that says nothing of where the server of the UI has them.
PROXIED = "mlflow-artifacts:/"


class ArtifactPlace(NamedTuple):
    """Attributes:
    uri: what MLflow is told; None: it decides.
    beside: the folder that `uri` stands for where that is beside the database, and moves with it.
    """

    uri: str | None
    beside: Path | None


def artifact_place(uri: str, root: Path | None) -> ArtifactPlace:
    """Where the files of a new experiment in the store at `uri` are kept, if `root` is for them.

    Beside the sqlite file that place is not written down as a path, so that both can be moved:
    `serve_command` tells the server where they are. Elsewhere it is a path, for servers that are
    started by hand.
    """
    file = sqlite_file(uri)
    if urlsplit(uri).scheme in SERVERS or (root is None and file is None):
        return ArtifactPlace(None, None)
    if root is not None and file is not None and root.absolute().parent == file.absolute().parent:
        return ArtifactPlace(PROXIED, root)
    # MLflow's own default is the folder that the process happens to run in.
    return ArtifactPlace((root or Path(f"{file}-artifacts")).absolute().as_uri(), None)
