"""Writers of one study that are killed one after the other: `python -m tests.support.killed_writer
URL`. It prints, for each, the trials for which `append` returned and those that are in the study.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from tests.support.study_places import plain_database, plain_journal, record
from tuning.storage.postgres_lease import PostgresLease
from tuning.study import StudyStore

SIZE, ROUNDS = 20_000, 20


def append_until_killed(url: str, returned: int) -> None:
    """Writes the numbers of the trials that have been appended to the pipe `returned`."""
    journal = url.startswith("journal:")
    with nullcontext() if journal else PostgresLease(url, "job") as lease:
        store = StudyStore.open(url, "job", lease)
        number = len(store.records())
        while True:
            store.append(record(number, size=SIZE))
            os.write(returned, b"%d\n" % number)
            number += 1


def main(url: str) -> None:
    path = url.removeprefix("journal:///")
    StudyStore.create(url, "job", {})
    rng, rounds = random.Random(0), []
    for attempt in range(ROUNDS):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            append_until_killed(url, write)
        os.close(write)
        with os.fdopen(read) as returned:
            # Every other one may die before its first append, while it opens or repairs.
            numbers = [returned.readline() for _ in range(3 * (attempt % 2))]
            time.sleep(rng.uniform(0, 0.03 if path != url else 0.1))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            numbers += returned.readlines()
        time.sleep(0.05)  # a commit that was sent is carried out
        study = plain_journal(Path(path)) if path != url else plain_database(url)
        rounds.append([[int(n) for n in numbers], [trial.number for trial in study.trials]])
    print(json.dumps(rounds))


if __name__ == "__main__":
    main(sys.argv[1])
