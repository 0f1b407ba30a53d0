"""Data by URI: fetched once per process into memory, and never shown with its credentials."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any

from trainers._mask import mask
from trainers._suggest import nearest
from trainers.errors import InvalidInput, Unavailable

__all__ = ["fetch", "is_address", "masked"]

_USUAL = ("https", "http", "s3", "gs", "abfs", "file")
_WEB = ("http", "https")
_MOST_BYTES = 2**31
_CHUNK_BYTES = 2**20
_CONNECT_SECONDS, _SILENCE_SECONDS = 15.0, 60.0


def is_address(data: str) -> bool:
    """Whether `data` is a URI, and so no path."""
    return "://" in data


def masked(text: str) -> str:
    """`text`, if it is a URI without its user, its password and the values of its query."""
    return mask(text, everything=True)


# Kept, so that whoever makes the problem again in this process trains on the same bytes.
@lru_cache(maxsize=1)
def fetch(uri: str) -> bytes:
    """What is at `uri`, through fsspec, whose drivers find their credentials as they always do.

    Raises:
        InvalidInput: it cannot be had, in one line without its credentials; Unavailable: now.
    """
    import fsspec

    where = f"data = {masked(uri)!r}"
    scheme = uri.partition("://")[0].lower()
    if scheme not in fsspec.available_protocols():
        raise InvalidInput(f"{where}: unknown scheme {scheme!r}{nearest(scheme, _USUAL)}")
    content = bytearray()
    try:
        system, path = fsspec.url_to_fs(uri, **(_web_client(uri) if scheme in _WEB else {}))
        # Any size spares the request for it, which signed addresses refuse; blocks of 0 stream.
        options: dict[str, Any] = {"block_size": 0, "size": 1} if scheme in _WEB else {}
        with system.open(path, "rb", **options) as file:
            while len(content) <= _MOST_BYTES and (chunk := file.read(_CHUNK_BYTES)):
                content += chunk
    except ImportError as error:  # its words are fsspec's: which package to install
        raise InvalidInput(
            f"{where}: the driver of {scheme}:// is missing: {error}, here and on every worker"
        ) from None
    # Each driver raises its own errors, and most of them quote the URI, credentials and all: so
    # neither their words nor they themselves (`from None`) go any further.
    except Exception as error:  # noqa: BLE001
        kind = Unavailable if _is_transient(error) else InvalidInput
        raise kind(f"{where} cannot be fetched: {_reason(error)}") from None
    if len(content) > _MOST_BYTES:
        raise InvalidInput(f"{where} is larger than {_MOST_BYTES:,} bytes; give a part of it")
    return bytes(content)


def _web_client(uri: str) -> dict[str, Any]:
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    return {
        "client_kwargs": {"timeout": timeout, "trust_env": True},  # proxies
        "encoded": "%" in uri,  # encoded again, a signature would not fit any more
        "skip_instance_cache": True,
    }


def _is_transient(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status >= 500 or status in (408, 429)  # time-out, too many requests
    lasting = FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError
    return isinstance(error, OSError) and not isinstance(error, lasting)


def _reason(error: Exception) -> str:
    """Why it failed, in words that cannot hold a part of the URI."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        known = status in list(HTTPStatus)
        return f"the server answers {status}{f' {HTTPStatus(status).phrase}' if known else ''}"
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ValueError):
        return "it is not a valid address"
    return getattr(error, "strerror", None) or type(error).__name__
