"""The networks of docker-compose.yml for real, as the site of a cluster: network namespaces.

Each running service gets a namespace, with an interface on a bridge for each of its networks, as
Docker would make them; the bridges are in a namespace that stands for the machine of the
containers, beside which another stands for a machine of its neighbourhood. Addresses are private
ones, known inside these namespaces alone. It needs to be root, iproute2 and nftables.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.compose import Service

__all__ = ["Namespaces"]

IP = shutil.which("ip") or "ip"
NAMESPACES = Path("/etc/netns")  # where `ip netns exec` takes a namespace's own files of /etc from
_numbers = itertools.count()
MACHINE, NEIGHBOUR = "machine", "neighbour"
MACHINE_OUTWARD, NEIGHBOURS = "10.87.0.1", "10.87.0.2"


def run(*words: str, given: str | None = None) -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def link(*words: str) -> None:
    run(IP, *words)


class Namespaces:
    """`with Namespaces(services, networks) as site:`, then `Cluster(folder, site=site)` inside.

    Args:
        services: Those of the compose file, by name.
        networks: Those of the compose file, and whether each is internal.
    """

    def __init__(self, services: Mapping[str, Service], networks: Mapping[str, bool]) -> None:
        self._services, self._internal = services, networks
        self._prefix = f"sf{os.getpid()}-{next(_numbers)}-"
        # The addresses of each that runs, by network; and the names that it has there.
        self.addresses: dict[str, dict[str, str]] = {}
        self._names: dict[str, Mapping[str, tuple[str, ...]]] = {}
        self._left = ExitStack()

    # --------------------------------------------------------------------------- they come and go

    def __enter__(self) -> Self:
        self._clear_up_after_the_dead()
        with ExitStack() as stack:
            stack.callback(self._remove)
            for name in (MACHINE, NEIGHBOUR):
                self._new(name)
            self._lay_the_networks()
            self._left = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.close()

    def _lay_the_networks(self) -> None:
        machine = self.namespace(MACHINE)
        for network in self._internal:
            link("-n", machine, "link", "add", network, "type", "bridge")
            gateway = f"{self._subnet(network)}.1/24"
            link("-n", machine, "address", "add", gateway, "dev", network)
            link("-n", machine, "link", "set", network, "up")
        self._wire("street", MACHINE_OUTWARD, NEIGHBOUR, NEIGHBOURS)
        # Whoever knows the containers' addresses may try them.
        way = ("route", "add", "10.88.0.0/16", "via", MACHINE_OUTWARD)
        link("-n", self.namespace(NEIGHBOUR), *way)
        switches = ("ip_forward", "conf/all/route_localnet")
        on = "; ".join(f"echo 1 >/proc/sys/net/ipv4/{name}" for name in switches)
        run(*self.inside(MACHINE), "sh", "-c", on)

    def _wire(self, name: str, address: str, there: str, peer: str) -> None:
        """A cable from the machine to the namespace `there`."""
        one, other = self.namespace(MACHINE), self.namespace(there)
        ends = ("link", "add", name, "type", "veth", "peer", "name", name)
        link("-n", one, *ends, "netns", other)
        for where, own in ((one, address), (other, peer)):
            link("-n", where, "address", "add", f"{own}/24", "dev", name)
            link("-n", where, "link", "set", name, "up")

    def _new(self, name: str) -> None:
        namespace = self.namespace(name)
        link("netns", "add", namespace)
        link("-n", namespace, "link", "set", "lo", "up")
        (NAMESPACES / namespace).mkdir(parents=True)
        for file in ("hosts", "resolv.conf"):
            (NAMESPACES / namespace / file).write_text("127.0.0.1 localhost\n" * (file == "hosts"))

    def _remove(self) -> None:
        _delete(namespace for namespace in _all() if namespace.startswith(self._prefix))

    def _clear_up_after_the_dead(self) -> None:
        """Of a test run that was killed, the namespaces are left."""
        _delete(
            namespace
            for namespace in _all()
            if (owner := re.match(r"sf(\d+)-", namespace)) and not Path("/proc", owner[1]).exists()
        )

    # --------------------------------------------------------------------------------- as a `Site`

    def prepare(self) -> None:
        for name, service in self._services.items():
            if service.replicas == 1:
                self.add(name, service)
        run(*self.inside(MACHINE), "nft", "-f", "-", given=self._rules())

    def add(self, name: str, service: Service) -> None:
        self._new(name)
        self._names[name] = service.networks
        self.addresses[name] = {}
        for number, network in enumerate(service.networks):
            self._plug(name, network, f"eth{number}", f"{len(self._names) + 1}")
        for other in self._names:
            self._write_hosts(other)

    def _plug(self, name: str, network: str, device: str, host: str) -> None:
        namespace, machine = self.namespace(name), self.namespace(MACHINE)
        cable, subnet = self._cable(name, network), self._subnet(network)
        ends = ("link", "add", cable, "type", "veth", "peer", "name", device)
        link("-n", machine, *ends, "netns", namespace)
        link("-n", machine, "link", "set", cable, "master", network, "up")
        address = self.addresses[name][network] = f"{subnet}.{host}"
        link("-n", namespace, "address", "add", f"{address}/24", "dev", device)
        link("-n", namespace, "link", "set", device, "up")
        if not self._internal[network]:  # as Docker does: an internal network leads nowhere
            link("-n", namespace, "route", "add", "default", "via", f"{subnet}.1")

    def address(self, name: str, port: int) -> str:
        """Where the machine of the containers answers for it, if the file publishes the port."""
        (where,) = [p for p in self._services[name].published if p.target == port]
        return f"{where.host}:{where.port}"

    def addressed(self, name: str, text: str) -> str:
        return text  # every port and every name is what the file says

    def command(self, name: str, words: Sequence[str]) -> list[str]:
        return [*self.inside(name), *words]

    # ------------------------------------------------------------------------- what tests do to it

    def namespace(self, name: str) -> str:
        return self._prefix + name

    def inside(self, name: str) -> list[str]:
        """The words before those of a program that runs where `name` is."""
        return [IP, "netns", "exec", self.namespace(name)]

    @contextmanager
    def cut(self, name: str, network: str) -> Iterator[None]:
        """The cable from a service to one of its networks is out."""
        with self._down(self._cable(name, network)):
            yield

    @contextmanager
    def down(self, network: str) -> Iterator[None]:
        """Nothing passes through a whole network, nor is its gateway there."""
        with self._down(network):
            yield

    @contextmanager
    def closed(self, port: int) -> Iterator[None]:
        """Nothing more is delivered to a port of any service; other ports are as they were."""
        nft = [*self.inside(MACHINE), "nft"]
        chain = "chain ip containers closed"
        run(*nft, f"add {chain} {{ type filter hook forward priority -10; policy accept; }}")
        run(*nft, f"add rule ip containers closed tcp dport {port} drop")
        try:
            yield
        finally:
            run(*nft, f"delete {chain}")

    @contextmanager
    def _down(self, device: str) -> Iterator[None]:
        link("-n", self.namespace(MACHINE), "link", "set", device, "down")
        try:
            yield
        finally:
            link("-n", self.namespace(MACHINE), "link", "set", device, "up")

    # -------------------------------------------------------------------------------- within

    def _subnet(self, network: str) -> str:
        return f"10.88.{list(self._internal).index(network)}"

    def _cable(self, name: str, network: str) -> str:
        return f"{list(self._names).index(name)}-{network}"

    def _write_hosts(self, name: str) -> None:
        """As Docker's own name server answers: with the address on the first network that both are
        on and where the other has that name, internal networks last."""
        found = {"localhost": "127.0.0.1"}
        for network in sorted(self._names[name], key=lambda network: self._internal[network]):
            for other, names in self._names.items():
                for alias in names.get(network, ()):
                    found.setdefault(alias, self.addresses[other][network])
        lines = "".join(f"{address} {alias}\n" for alias, address in found.items())
        (NAMESPACES / self.namespace(name) / "hosts").write_text(lines, encoding="ascii")

    def _rules(self) -> str:
        """Docker's, in short: who is on a network that is not internal may go out; from elsewhere
        one comes in through published ports alone."""
        outward = [network for network, internal in self._internal.items() if not internal]
        published = [
            f"ip daddr {port.host} tcp dport {port.port} dnat to "
            f"{self.addresses[name][next(n for n in service.networks if n in outward)]}"
            f":{port.target}"
            for name, service in self._services.items()
            for port in service.published
        ]
        forward = ["ct state established,related accept", "ct status dnat accept"]
        # What stays on a bridge comes by here too, where the kernel filters bridges.
        forward += [f"iifname {network} oifname {network} accept" for network in self._internal]
        forward += [f"iifname {network} oifname street accept" for network in outward]
        back = [f"oifname {network} ip saddr 127.0.0.0/8 masquerade" for network in outward]
        back.append("oifname street masquerade")
        chains = {
            "forward": ("type filter hook forward priority 0; policy drop;", forward),
            "arriving": ("type nat hook prerouting priority -100;", published),
            "own": ("type nat hook output priority -100;", published),
            "leaving": ("type nat hook postrouting priority 100;", back),
        }
        text = "\n".join(
            f"chain {name} {{ {head}\n" + "\n".join(rules) + "\n}"
            for name, (head, rules) in chains.items()
        )
        return f"table ip containers {{\n{text}\n}}\n"


def _all() -> list[str]:
    return [entry["name"] for entry in json.loads(run(IP, "-j", "netns", "list") or "[]")]


def _delete(namespaces: Iterable[str]) -> None:
    for namespace in namespaces:
        link("netns", "delete", namespace)
        shutil.rmtree(NAMESPACES / namespace, ignore_errors=True)
    with suppress(OSError):  # others have theirs there
        NAMESPACES.rmdir()
