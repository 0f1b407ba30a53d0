"""The cluster's nodes as a driver sees them: does each answer, and do objects pass both ways?"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

__all__ = ["OBJECT_BYTES", "cluster_facts", "gpus_of_nodes", "own_address", "resources"]

#: Above what Ray sends along with its messages (100 kB): an object of its own.
OBJECT_BYTES = 1_000_000
# A node must start a worker, which takes 2 s, or ten where all its CPUs are at work. An object of
# that size takes 20 ms, or some seconds there.
_ANSWER_SECONDS, _OBJECT_SECONDS = 40.0, 10.0
_CONNECT_SECONDS = 1.5
_AT_ONCE = 64


@dataclass(frozen=True)
class _Seen:
    """What one node has seen.

    Attributes:
        own: what the caller's function gave there.
        argument: whether an object came.
        closed: addresses of other nodes, with the port, to which no connection could be opened.
    """

    own: Any
    argument: bool
    closed: tuple[str, ...]


def cluster_facts(on_a_node: Callable[[], Any]) -> dict[str, Any]:
    """What a driver sees of its cluster, as plain JSON: in some three seconds, 20 where no
    object passes, and a minute where a node does not answer at all.

    Args:
        on_a_node: called on every node.

    Returns:
        `cpus` and `free_cpus` of all; `head`, the address under which the head is known; and
        `nodes`, each with its `address`, whether it `is_head`, an `error` if it gave no answer,
        what `on_a_node` gave (`own`), whether an object came to it (`argument`) and from it
        (`result`), and the ports of others to which it cannot connect (`closed`).
    """
    import ray

    ray.init(address="auto", logging_level=logging.ERROR)
    there: Any = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node for node in there if node["Alive"]]
    cpus, free_cpus = resources()
    return {
        "cpus": cpus,
        "free_cpus": free_cpus,
        "head": next((n["NodeManagerAddress"] for n in alive if _is_head(n)), None),
        "nodes": _examined(ray, alive, on_a_node),
    }


def resources(kind: str = "CPU") -> tuple[float, float]:
    """The cluster's CPUs or GPUs, and how many of them are free."""
    import ray

    all_of_them: Any = ray.cluster_resources()  # type: ignore[no-untyped-call]
    free: Any = ray.available_resources()  # type: ignore[no-untyped-call]
    return all_of_them.get(kind, 0.0), free.get(kind, 0.0)


def gpus_of_nodes() -> list[float]:
    """The GPUs of each node that is alive."""
    import ray

    there: Any = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"].get("GPU", 0.0) for node in there if node["Alive"]]


def own_address() -> str:
    """Under which this node is known."""
    import ray

    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def _is_head(node: dict[str, Any]) -> bool:
    return "node:__internal_head__" in node["Resources"]


def _examined(
    ray: Any, nodes: list[dict[str, Any]], on_a_node: Callable[[], Any]
) -> list[dict[str, Any]]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    large = [ray.put(bytes(OBJECT_BYTES))]  # in a list: a task begins before it has come
    ports = {
        f"{node['NodeManagerAddress']}:{node[port]}"
        for node in nodes
        for port in ("NodeManagerPort", "ObjectManagerPort")
    }
    # No CPU: what trains there goes on.
    remote = {
        node["NodeID"]: ray.remote(
            num_cpus=0,
            max_retries=0,
            num_returns=2,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        for node in nodes
    }
    asked = {node: on(_look).remote(large, on_a_node, ports) for node, on in remote.items()}
    seen = _gathered(ray, {node: look for node, (look, _) in asked.items()}, _ANSWER_SECONDS)
    # The same task gives both: another would have to wait for a worker again.
    results = {node: big for node, (_, big) in asked.items() if isinstance(seen[node], _Seen)}
    came = _gathered(ray, results, _OBJECT_SECONDS)
    return [_fact(node, seen[node["NodeID"]], came.get(node["NodeID"])) for node in nodes]


def _fact(node: dict[str, Any], look: Any, result: Any) -> dict[str, Any]:
    answered = isinstance(look, _Seen)
    return {
        "address": node["NodeManagerAddress"],
        "is_head": _is_head(node),
        "error": None if answered else str(look),
        "own": look.own if answered else None,
        "argument": answered and look.argument,
        "result": isinstance(result, bytes),
        "closed": list(look.closed) if answered else [],
    }


def _gathered(ray: Any, references: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What comes within `seconds`, or what went wrong in a line, by node."""
    wanted = list(references.values())
    came, _ = ray.wait(wanted, num_returns=len(wanted), timeout=seconds) if wanted else ([], [])
    found: dict[str, Any] = dict.fromkeys(references, f"nothing came in {seconds:g} s")
    for node, reference in references.items():
        if reference in came:
            try:
                found[node] = ray.get(reference)
            except ray.exceptions.RayError as error:
                found[node] = str(error).strip().splitlines()[-1]
    return found


def _look(
    large: list[Any], on_a_node: Callable[[], Any], ports: Iterable[str]
) -> tuple[_Seen, bytes]:
    """What a node sees, in ten seconds at most, and an object to come from it."""
    import ray

    others = [port for port in ports if port.split(":")[0] != own_address()]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        opened = threads.map(_opens, others)
        came, _ = ray.wait(large, timeout=_OBJECT_SECONDS)
        closed = sorted(port for port, open_ in zip(others, opened, strict=True) if not open_)
    return _Seen(on_a_node(), bool(came), tuple(closed)), bytes(OBJECT_BYTES)


def _opens(address: str) -> bool:
    host, port = address.split(":")
    with contextlib.suppress(OSError):
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        return True
    return False
