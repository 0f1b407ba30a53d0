"""Every route that Ray's dashboard, its agents and MLflow's server have, from their own tables.

A program, `python routes.py ray|mlflow`, since what it imports warns and must not stay loaded. It
prints JSON: a list of [method, path], by table.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from typing import Any


def filled(path: str) -> str:
    """A path whose parameters, `{name}` or `<kind:name>`, have values."""
    path = re.sub(r"\{[^{}]*\}|<int:[^<>]*>", "1", path)
    return re.sub(r"<[^<>]*>", "x", path)


def of_ray() -> dict[str, list[tuple[str, str]]]:
    from ray.dashboard import http_server_head
    from ray.dashboard import utils as dashboard_utils
    from ray.dashboard.optional_utils import DashboardAgentRouteTable, DashboardHeadRouteTable
    from ray.dashboard.subprocesses.module import SubprocessModule
    from ray.dashboard.subprocesses.routes import SubprocessRouteTable

    http_server_head.setup_static_dir()  # type: ignore[no-untyped-call]
    for kind in (
        dashboard_utils.DashboardHeadModule,
        dashboard_utils.DashboardAgentModule,
        SubprocessModule,
    ):
        # Imported, they register their routes.
        dashboard_utils.get_all_modules(kind)  # type: ignore[no-untyped-call]

    def table(*tables: Any) -> list[tuple[str, str]]:
        return [
            (item.method, filled(item.path))
            if hasattr(item, "method")
            else ("GET", f"{item.prefix}/x")
            for routes in tables
            for item in routes.routes()
        ]

    return {
        "dashboard": table(DashboardHeadRouteTable, SubprocessRouteTable),
        "agent": table(DashboardAgentRouteTable),
    }


def of_mlflow() -> dict[str, list[tuple[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        configuration = os.path.join(folder, "auth.ini")
        with open(configuration, "w") as file:
            file.write(
                "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
                f"database_uri = sqlite:///{folder}/auth.db\n"
            )
        os.environ |= {
            "MLFLOW_AUTH_CONFIG_PATH": configuration,
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": "a password of no server",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key of no server",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": folder,
        }
        from fastapi.routing import iter_route_contexts
        from mlflow.server import app as flask_app
        from mlflow.server.auth import create_app

        native = create_app().routes
    return {
        "flask": [
            (method, filled(rule.rule))
            for rule in flask_app.url_map.iter_rules()
            for method in rule.methods or ()
        ],
        "fastapi": [
            (method, filled(route.path or "/"))
            for route in iter_route_contexts(native)
            for method in getattr(route, "methods", None) or ()
        ],
    }


if __name__ == "__main__":
    print(json.dumps({"ray": of_ray, "mlflow": of_mlflow}[sys.argv[1]]()))
