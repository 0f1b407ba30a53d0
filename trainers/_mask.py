"""Addresses that can be shown: without their passwords."""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["mask"]

_SECRET = re.compile(r"password|secret", re.IGNORECASE)


def mask(text: str, *, everything: bool = False) -> str:
    """`text`; if it is a URL, also a malformed one, with `***` for its credentials.

    Of a server's address these are the password and each value of the query whose name says that it
    is one. Rather too much is hidden than too little: a password may hold any sign, also an "@" or
    "/" that its owner forgot to write as %40 or %2F, so that it goes on to the last "@".

    Args:
        everything: the user and each value of the query too: in an address of data any of them may
            be a token or a signature.
    """
    if everything:
        shown = re.sub(r"\A([^:/@]*:/*|//|.*?://).*@", r"\1***@", text, flags=re.DOTALL)
        address, question, query = shown.partition("?")
        if "://" in shown:  # a query without a key is a token as it stands
            query = re.sub(r"(?:([^&=]*=)[^&]*|[^&=]+)", r"\1***", query)
        return address + question + query
    shown = re.sub(r"(://[^:@/?]*:).*@", r"\1***@", text, count=1, flags=re.DOTALL)
    # What follows the user is a password, unless the host was forgotten and it is a port.
    shown = re.sub(r"(://[^:@/?[]*:)(?!\*\*\*@|[\d,]*(?:[/?,]|$))[^/?]*", r"\1***", shown, count=1)
    return re.sub(r"(?<=[?&])([^=&]*)=[^&]*", _hidden, shown)


def _hidden(parameter: re.Match[str]) -> str:
    name = parameter[1]
    return f"{name}=***" if _SECRET.search(unquote(name)) else parameter[0]
