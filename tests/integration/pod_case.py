"""The processes of a pod that is one virtual cluster, without the pod: etcd, an API server and the syncer, and a host.

They share this machine's processes with everybody else's, so the syncer is shown a listing with only the pod's in it.
There is no controller manager: a sleeping process of its name stands in for it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from two_api_servers import VERSION, _api_server, _binary, free_ports

from pytest_vcluster.controlplane import etcd, pki
from pytest_vcluster.toolchain import Component
from pytest_vcluster.toolchain.versions import ETCD_VERSION

T = TypeVar("T")
NAMESPACE, ACCOUNT, ADDRESS = "clusters", "syncer", "10.1.2.3"
LEASE = "the-run"
_SECONDS = 90.0
"""Far longer than anything takes on a machine with nothing else to do."""


@dataclass(frozen=True)
class Door:
    """A server that asks for certificates, and the ones to show."""

    url: str
    tls: ssl.SSLContext

    @classmethod
    def at(cls, port: int, *, authority: Path, certificate: Path | None = None, key: Path | None = None) -> Door:
        tls = ssl.create_default_context(cafile=str(authority))
        if certificate is not None:
            tls.load_cert_chain(certificate, key)
        return cls(f"https://127.0.0.1:{port}", tls)

    def ask(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> tuple[int, Any]:
        """Status and answer; OSError if there is none."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text) if text[:1] == "{" else text

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer; AssertionError if it is a refusal."""
        status, answer = self.ask(method, path, body, **options)
        assert status < 300, (method, path, status, answer)
        return answer


def until(check: Callable[[], T], *, seconds: float = _SECONDS) -> T:
    """Wait until `check()` is something, and return it."""
    deadline = time.monotonic() + seconds
    seen: Any = None
    while time.monotonic() < deadline:
        try:
            seen = check()
        except (OSError, AssertionError) as error:
            seen = error
        else:
            if seen:
                return seen
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s; last seen: {seen!r}")


class Processes:
    """Processes by name; all end with the test."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self._directory / f"{name}.log").open("ab"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self.running[name] = process
        return process

    def end(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    def log(self, name: str) -> str:
        return (self._directory / f"{name}.log").read_text()


@dataclass
class Host:
    """An API server that is the host."""

    api: Door
    port: int
    authority: Path

    def token(self) -> str:
        """A new token of the pod's service account."""
        spec = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
        return str(self.api.call("POST", path, spec)["status"]["token"])

    def lets_in(self, token: str) -> bool:
        """Whether the server takes who shows `token` for somebody it knows."""
        door = Door.at(self.port, authority=self.authority)
        request = urllib.request.Request(f"{door.url}/version", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=door.tls):
                return True
        except urllib.error.HTTPError as error:
            with error:
                assert error.code == 401, error
                return False

    def make_account(self, name: str = ACCOUNT) -> None:
        account = {"metadata": {"name": name}}
        self.api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)


@contextlib.contextmanager
def host(directory: Path, *, arguments: Sequence[str] = ()) -> Iterator[Host]:
    """A host with a namespace for clusters; `arguments` are for its API server, besides."""
    with contextlib.ExitStack() as stack:
        processes = Processes(directory, stack)
        store = etcd.component(binary=_binary(Component.ETCD, ETCD_VERSION), directory=directory)
        processes.start("host-etcd", [str(store.binary), *store.arguments])
        (port,) = stack.enter_context(free_ports(1))
        binary = _binary(Component.KUBE_APISERVER, VERSION)
        command = _api_server(
            binary,
            directory / "host",
            name="host",
            port=port,
            etcd=f"unix://{etcd.socket(directory)}",
            services="10.64.0.0/16",
        )
        processes.start("host-apiserver", [*command, *arguments])
        made = Host(_administrator(directory / "host", port), port, directory / "host" / "ca.crt")
        until(lambda: made.api.ask("GET", "/readyz")[0] == 200)
        made.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for account in (ACCOUNT, "default"):
            made.make_account(account)
        yield made


def _administrator(directory: Path, port: int) -> Door:
    certificate, key = directory / "user.crt", directory / "user.key"
    return Door.at(port, authority=directory / "ca.crt", certificate=certificate, key=key)


@dataclass
class Pod:
    """The parts of one pod; `start` starts each, in whatever order a test likes."""

    name: str
    """On the host; clusters of one name would fight for their objects."""
    directory: Path
    host: Host
    processes: Processes
    ports: Sequence[int]
    """Of its API server, of the syncer's admin API, and of its probes."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What its configuration has besides; of `pod` and of its tenant, too."""
    seed: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self.port, self._admin_port, self.probes_port = self.ports
        self.account = self.directory / "account"
        self.listing = self.directory / "proc"
        for made in (self.account, self.listing):
            made.mkdir()
        (self.account / "ca.crt").write_text(self.host.authority.read_text())
        self.show_token(self.host.token())
        self._make_certificates()
        service = {"metadata": {"name": self.name}, "spec": {"ports": [{"port": 443}]}}
        made = self.host.api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/services", service)
        self.owner = str(made["metadata"]["uid"])
        """The uid of its root object on the host."""
        self._server = _api_server(
            _binary(Component.KUBE_APISERVER, VERSION),
            self.directory / "virtual",
            name="registry",
            port=self.port,
            etcd=f"unix://{self.directory}/store.sock",
            services="10.100.112.0/20",
        )
        self.virtual = _administrator(self.directory / "virtual", self.port)
        certificate, key = self.directory / "client.crt", self.directory / "client.key"
        authority = self.directory / "admin-ca.crt"
        self.admin = Door.at(self._admin_port, authority=authority, certificate=certificate, key=key)
        self.without_certificate = Door.at(self._admin_port, authority=authority)
        if self.seed is not None:
            text = json.dumps({"entries": self.seed}).encode()
            (self.directory / "seed.gz").write_bytes(gzip.compress(text))

    def _make_certificates(self) -> None:
        authority = pki.CertificateAuthority.new("admin-authority")
        pairs = {"admin": authority.server("admin", hosts=["127.0.0.1"]), "client": authority.client("somebody")}
        (self.directory / "admin-ca.crt").write_text(authority.certificate)
        for name, pair in pairs.items():
            (self.directory / f"{name}.crt").write_text(pair.certificate)
            (self.directory / f"{name}.key").write_text(pair.key)

    def show_token(self, token: str) -> None:
        (self.account / "token").write_text(token)

    @property
    def configuration(self) -> dict[str, Any]:
        at = self.directory
        part = dict(self.changes)
        tenant = {
            "name": self.name,
            "virtual": {"kubeconfig": str(at / "virtual" / "kubeconfig")},
            "kubernetes_service_ip": "10.100.112.1",
            "nodes": {"mode": "shared"},
            "recycle": {"commands": {"freeze": ["kube-controller-manager"], "rest": ["kube-apiserver"]}},
            **part.pop("tenant", {}),
        }
        pod = {
            "store": {"etcd": str(at / "etcd.sock"), "open": str(at / "store.sock"), "prefix": "/registry/"},
            "seed": None if self.seed is None else str(at / "seed.gz"),
            "processes": str(self.listing),
            "host_services": [{"name": self.name, "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]}],
            "tenant": tenant,
            **part.pop("pod", {}),
        }
        return {
            "host": {"in_cluster": True, "service_account_directory": str(self.account)},
            "admin": {
                "address": "127.0.0.1",
                "port": self._admin_port,
                "certificate": str(at / "admin.crt"),
                "key": str(at / "admin.key"),
                "client_authority": str(at / "admin-ca.crt"),
            },
            "probes": {"address": "127.0.0.1", "port": self.probes_port},
            "owner": self.name,
            "pod": pod,
            **part,
        }

    def start(self, name: str) -> None:
        """Start a container."""
        match name:
            case "etcd":
                store = etcd.component(binary=_binary(Component.ETCD, ETCD_VERSION), directory=self.directory)
                command, options = [str(store.binary), *store.arguments], {}
            case "kube-apiserver":
                command, options = self._server, {}
            case "kube-controller-manager":
                command, options = [name, "100000"], {"executable": "/bin/sleep"}
            case _:
                self._start_syncer()
                return
        process = self.processes.start(name, command, **options)
        (self.listing / str(process.pid)).symlink_to(f"/proc/{process.pid}")

    def _start_syncer(self) -> None:
        config = self.directory / "syncer.json"
        config.write_text(json.dumps(self.configuration))
        environment = {
            **os.environ,
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.host.port),
            "POD_NAMESPACE": NAMESPACE,
            "POD_IP": ADDRESS,
        }
        self.processes.start(
            "syncer", [sys.executable, "-m", "vcluster_syncer", "--config", str(config)], env=environment
        )

    def start_all(self) -> None:
        for name in ("syncer", "kube-apiserver", "kube-controller-manager", "etcd"):
            self.start(name)

    def carried(self, plural: str) -> list[dict[str, Any]]:
        """What the syncer made of a sort on the host, but for what is on its way out."""
        path = f"/api/v1/namespaces/{NAMESPACE}/{plural}?labelSelector=vcluster-syncer/tenant%3D{self.name}"
        items: list[dict[str, Any]] = self.host.api.call("GET", path)["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def health(self) -> tuple[int, str]:
        status, text = self.admin.ask("GET", "/healthz")
        return status, text

    def is_healthy(self) -> bool:
        return self.health() == (200, "ok")

    def says(self, words: str) -> bool:
        """Whether it is not well, and these words are among the reasons."""
        status, text = self.health()
        return status == 503 and words in text


@contextlib.contextmanager
def pod(directory: Path, host: Host, *, seed: Mapping[str, str] | None = None, **changes: Any) -> Iterator[Pod]:
    """A pod of which nothing runs yet."""
    with contextlib.ExitStack() as stack:
        ports = stack.enter_context(free_ports(3))
        processes = Processes(directory, stack)
        try:
            yield Pod(f"vc-{secrets.token_hex(4)}", directory, host, processes, ports, changes, seed)
        finally:
            # For pytest to show if the test fails.
            print(processes.log("syncer")[-6000:])
