"""Two single errands to MLflow: see whether it answers, mark an experiment as deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import TYPE_CHECKING

from trainers._mask import mask
from trainers.errors import InvalidInput
from tuning.tracking.mlflow_store import ENVIRONMENT, check_port, mlflow_errors, quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["delete_experiment", "reach"]


def reach(uri: str) -> None:
    """Raises InvalidInput unless MLflow answers at `uri`, and takes the user and password in
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD if it wants them."""
    with _client(uri) as client:
        client.search_experiments(max_results=1)


def delete_experiment(uri: str, name: str) -> None:
    """Mark an experiment as deleted, as MLflow does it: `mlflow gc` removes it for good.

    Raises:
        InvalidInput: MLflow cannot be reached, or refuses.
    """
    with _client(uri) as client:
        found = client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "deleted":
            client.delete_experiment(found.experiment_id)


@contextmanager
def _client(uri: str) -> Iterator[MlflowClient]:
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        check_port(uri)
        with quiet():
            from mlflow import MlflowClient

            yield MlflowClient(tracking_uri=uri)
    except mlflow_errors() as error:
        why = shorten(str(error), 200, placeholder=" ...")
        raise InvalidInput(
            f"MLflow at {mask(uri)} refuses, or cannot be reached: {why}; check "
            "MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        ) from error
