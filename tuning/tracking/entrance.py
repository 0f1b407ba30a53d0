"""`mlflow server --app-name surefoot`: MLflow's UI, with Surefoot's jobs at its root.

What MLflow shows there has nothing to do with jobs. Its own addresses, which are all fragments
("/#/experiments/..."), go on working. The page, `entrance.html`, asks MLflow's own API, so that it
shows what its reader may see. Imported and called in the server's process alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from flask import Flask

__all__ = ["create_app", "create_app_with_password"]

PATH = "/surefoot"

# A fragment never reaches a server, so that the browser decides. To the address of a shared view
# MLflow adds what it sorts and filters by, and then, on reload, ignores the view: that is taken off
# while there is no filter of the reader's own. Its assistant opens over the page by itself, once.
_AT_THE_ROOT = """<head><script>
if (!location.hash && !location.search) location.replace('surefoot');
else if (/viewStateShareKey=/.test(location.hash) && !/[?&]searchFilter=[^&]/.test(location.hash))
  history.replaceState(null, '', location.hash.replace(
    /&(searchFilter|orderByKey|orderByAsc|startTime|lifecycleFilter|datasetsFilter|modelVersionFilter)=[^&]*/g, ''));
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
</script>"""  # noqa: E501


def create_app() -> FastAPI:
    """The server without a password: for this machine."""
    _add_entrance()
    from mlflow.server.fastapi_app import app

    served: FastAPI = app
    return served


def create_app_with_password() -> FastAPI:
    """The server as MLflow's `basic-auth` has it; the entrance asks for the password too."""
    from mlflow.server.auth import create_app as with_password

    served: FastAPI = with_password(_add_entrance())
    return served


def _add_entrance() -> Flask:
    """MLflow's Flask app with the page, which stands behind whatever is before its other routes."""
    from flask import Response
    from mlflow.server import app as flask_app

    prefix = os.environ.get("_MLFLOW_STATIC_PREFIX", "").rstrip("/")
    index = Path(str(flask_app.static_folder), "index.html").read_text(encoding="utf-8")
    index = index.replace("<head>", _AT_THE_ROOT, 1)
    page = Path(__file__).with_name("entrance.html").read_text(encoding="utf-8")

    def shown(html: str) -> Response:
        return Response(html, mimetype="text/html", headers={"Cache-Control": "no-cache"})

    flask_app.view_functions["serve"] = lambda: shown(index)
    flask_app.add_url_rule(f"{prefix}{PATH}", "surefoot", lambda: shown(page))
    return flask_app
