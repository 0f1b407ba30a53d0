"""The Ray Jobs API of a cluster: submit a driver, ask after it, stop it."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tuning.errors import InvalidInput, RayUnreachable
from tuning.execution.ray_session import ONE_THREAD
from tuning.jobs.files import BUNDLE

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

__all__ = ["ADDRESS", "ALIVE", "RayJobs", "RayUnreachable", "authorization"]

T = TypeVar("T")

#: Ray's own name for the address of its Jobs API.
ADDRESS = "RAY_API_SERVER_ADDRESS"
_ANSWER_SECONDS = 20.0
#: States of a submission in which its driver may still come, or is there.
ALIVE = ("PENDING", "RUNNING")


class RayJobs:
    """The jobs of the Ray cluster at `address`.

    Args:
        address: as in http://127.0.0.1:8265; default: RAY_API_SERVER_ADDRESS.

    Raises:
        InvalidInput: no such address, or the token is missing or wrong.
        RayUnreachable: nothing answers there.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = check_address(address or os.environ.get(ADDRESS))
        with self._translate_errors():
            self._client = _client(self.address)

    @property
    def ray_version(self) -> str:
        """The cluster's."""
        with self._translate_errors():
            return str(self._client.get_version())

    def submit(
        self,
        submission: str,
        entrypoint: str,
        *,
        bundle: bytes | str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Have `entrypoint` run on the head. A submission that is there already stays as it is.

        Args:
            submission: its id.
            bundle: a zip whose content is the working directory of the driver and its tasks; or
                the address of one, in which that is a folder.
        """
        runtime: dict[str, Any] = {"env_vars": dict(ONE_THREAD)}
        with self._translate_errors(), tempfile.TemporaryDirectory() as folder:
            if isinstance(bundle, str):
                runtime["working_dir"] = bundle
            elif bundle is not None:
                path = Path(folder, BUNDLE)
                path.write_bytes(bundle)
                runtime["working_dir"] = str(path)
            try:
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=submission,
                    runtime_env=runtime,
                    metadata=dict(metadata or {}),
                )
            except RuntimeError:
                if self.state(submission) is None:
                    raise

    def state(self, submission: str) -> str | None:
        """Ray's word for what a submission is doing; None if it does not know of it."""
        with self._translate_errors():
            try:
                return str(self._client.get_job_status(submission).value)
            except RuntimeError as error:
                if _unknown(error):
                    return None
                raise

    def alive(self, submission: str) -> bool:
        """Whether the driver may still come, or is there, in Ray's opinion."""
        return self.state(submission) in ALIVE

    def log(self, submission: str) -> str:
        """What the driver has printed; nothing if Ray does not know of it."""
        with self._translate_errors():
            try:
                return str(self._client.get_job_logs(submission))
            except RuntimeError as error:
                if _unknown(error):
                    return ""
                raise

    def stop(self, submission: str) -> None:
        """Ask the driver to end; it is killed after some seconds. Returns at once."""
        with self._translate_errors():
            if self.alive(submission):
                self._client.stop_job(submission)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Ray's and requests' errors into one line each."""
        from ray.exceptions import AuthenticationError
        from requests.exceptions import RequestException

        try:
            yield
        except AuthenticationError as error:
            raise InvalidInput(
                f"the Ray cluster at {self.address} refuses the token: set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN_PATH to the file with the cluster's token"
            ) from error
        except (RequestException, ConnectionError) as error:
            raise RayUnreachable(
                f"no Ray cluster answers at {self.address}: check the address (RAY_API_SERVER_"
                "ADDRESS or --address), the tunnel to it, and that the cluster is up"
            ) from error
        except RuntimeError as error:
            why = shorten(str(error), 300, placeholder=" ...")
            raise RayUnreachable(f"the Ray cluster at {self.address} failed: {why}") from error


def check_address(address: str | None) -> str:
    """The address, without a slash at its end.

    Raises:
        InvalidInput: there is none, or it is no address of a Jobs API.
    """
    if not address:
        raise InvalidInput(
            "no cluster is named: give --address http://HOST:8265, or set RAY_API_SERVER_ADDRESS"
        )
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        valid = False
    if not valid or not address.isprintable() or "@" in address:
        shown = address if "@" not in address else address.rpartition("@")[2]
        raise InvalidInput(
            f"address {shown!r} is not valid; write http://HOST:PORT of the Ray dashboard, as in "
            "http://127.0.0.1:8265"
        )
    return address.rstrip("/")


def _unknown(error: RuntimeError) -> bool:
    """Whether Ray answered that there is no such submission, whose id may hold any number."""
    return str(error).startswith("Request failed with status code 404:")


def authorization() -> dict[str, str]:
    """The token as Ray's header, if RAY_AUTH_MODE asks for one.

    Ray itself reads its mode once, when it is imported, which may have been long before.

    Raises:
        InvalidInput: the token's file cannot be read.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return {}
    token = os.environ.get("RAY_AUTH_TOKEN")
    if not token:
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise InvalidInput(
                f"the Ray cluster's token cannot be read from {path}: {why}; set "
                "RAY_AUTH_TOKEN_PATH to the file that holds it"
            ) from error
    return {"Authorization": f"Bearer {token}"}


def _client(address: str) -> JobSubmissionClient:
    from ray.job_submission import JobSubmissionClient

    class Patient(JobSubmissionClient):
        """Ray's own client waits for ever for a head that hangs."""

        def _do_request(self, method: str, endpoint: str, **rest: Any) -> Any:
            rest.setdefault("timeout", _ANSWER_SECONDS)
            return super()._do_request(method, endpoint, **rest)

    for name in ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
        logging.getLogger(name).setLevel(logging.WARNING)
    kept = os.environ.get(ADDRESS)
    os.environ[ADDRESS] = address  # Ray lets its variable win over the address that it is given
    try:
        return Patient(address, headers=authorization())
    finally:
        os.environ.pop(ADDRESS)
        if kept is not None:
            os.environ[ADDRESS] = kept
