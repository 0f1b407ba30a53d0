"""How far a setting came on its way to be recommended."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Status"]


class Status(StrEnum):
    """Of a setting, by its own restarts and by what fresh starts said of it.

    Attributes:
        RECOMMENDED: the winner of the search, confirmed.
        CONFIRMED: the tests on fresh starts accepted, at its rate and at margin times it: the
            winner's own trials there, and another setting of the search at the very same rate.
        LOOKS_STABLE: the bound on P(unstable) is at most `max_unstable`, or, with too few restarts
            for any bound, none was unstable; and no fresh start has spoken against it.
        UNDECIDED: neither that nor unstable; or it looked stable in the search, and fresh starts
            refused it or a lower rate of its optimizer.
        UNSTABLE: the lower bound on P(unstable) is above `max_unstable`.
    """

    RECOMMENDED = "recommended"
    CONFIRMED = "confirmed"
    LOOKS_STABLE = "looks-stable"
    UNDECIDED = "undecided"
    UNSTABLE = "unstable"

    @property
    def stable(self) -> bool:
        """Whether nothing speaks against the setting so far."""
        return self in (Status.RECOMMENDED, Status.CONFIRMED, Status.LOOKS_STABLE)
