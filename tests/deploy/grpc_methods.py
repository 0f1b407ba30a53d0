"""Every gRPC method that Ray's servers have, and what one of them says to whom has no token."""

from __future__ import annotations

import importlib
import pkgutil
import warnings

import grpc

__all__ = ["answers", "methods"]

# Ray ships no Python code for this protocol, object_manager.proto.
OBJECT_MANAGER = [f"/ray.rpc.ObjectManagerService/{name}" for name in ("Push", "Pull")]


def methods() -> list[str]:
    """`/package.Service/Method` of every service that Ray's own protocols define."""
    with warnings.catch_warnings(action="ignore"):
        import ray.core.generated as generated

        modules = [
            importlib.import_module(f"{generated.__name__}.{module.name}")
            for module in pkgutil.iter_modules(generated.__path__)
            if module.name.endswith("_pb2")
        ]
    return OBJECT_MANAGER + sorted(
        f"/{service.full_name}/{method.name}"
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    )


def answers(port: int, metadata: tuple[tuple[str, str], ...] = ()) -> dict[str, grpc.StatusCode]:
    """The status with which the server on `port` answers each method that it has."""
    found = {}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in methods():
            call = channel.unary_unary(method)
            try:
                call(b"", timeout=5, metadata=metadata)
            except grpc.RpcError as error:
                code = error.code()
            else:
                code = grpc.StatusCode.OK
            if code != grpc.StatusCode.UNIMPLEMENTED:
                found[method] = code
    return found
