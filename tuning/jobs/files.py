"""The names of a job's files: in its folder, or among its rows. Nothing is imported for them."""

from __future__ import annotations

HEADER = "job.json"  # the job file, facts of the problem, when and where it was made
PROBLEM = "problem.pkl"  # a problem that was given as an object
REPORT = "report.json"  # that it is there says that the job is done
ANSWER = "answer.txt"  # the report's, in a few words
REPORT_PAGE = "report.html"
REPORT_MARKDOWN = "report.md"
SETTINGS_TABLE = "settings.csv"
MODEL = "model.txt"  # of a job whose problem is a module: its layers
FAILURE = "failure.txt"  # why it failed
EVENTS = "coordinator-events.txt"  # what the coordinator did before that
MLFLOW_PATH = "mlflow-path.txt"  # where its report is, below the address of an MLflow server
MLFLOW_URL = "mlflow-url.txt"  # a link to that, on a server that was asked for by its address
MLFLOW_MISSING = "mlflow-missing.txt"  # what MLflow lacks when nobody is at work any more

# On this machine alone.
LEASE, STUDY = "lease", "study.log"

# On a cluster alone.
BUNDLE = "bundle.zip"  # what travelled with the job
BUNDLE_AT = "bundle-at.txt"  # or where it is
PRIORITY = "priority.txt"  # before which others it comes; not there for 0
