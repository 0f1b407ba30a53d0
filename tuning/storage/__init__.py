"""What a study and a job are kept with: a connection to PostgreSQL, and leases.

`study`, `jobs` and whoever carries a job through come in. Nothing here knows what is
stored. psycopg is imported in this room alone, when a connection is made.
"""

from __future__ import annotations

from tuning.storage.file_lease import Holder, Lease
from tuning.storage.postgres_lease import PostgresLease

__all__ = ["Holder", "Lease", "PostgresLease"]
