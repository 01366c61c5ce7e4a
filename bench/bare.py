"""kube-apiserver alone, with the arguments that our clusters get: what no harness around it can be faster than.

The one rule: the clock covers what has to happen for any cluster at all: writing the state that it starts on, starting
the programs, until it is ready. Certificates are there before.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from bench import names
from bench.children import running, tail
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.template import certificates, template_of
from pytest_vcluster.controlplane import etcd, kube_apiserver
from pytest_vcluster.controlplane.addresses import Address, for_api_server
from pytest_vcluster.controlplane.component import Component as Program
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.networks import SERVICE_RANGES
from pytest_vcluster.toolchain import Component

_POLL_SECONDS = 0.005
_DEADLINE_SECONDS = 120.0
_RANGE = SERVICE_RANGES[-1]
_INHERITED_PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A kube-apiserver that was not started yet."""

    program: Program
    address: Address
    pki: Path

    def client(self) -> Client:
        return Client.over_tls(
            self.address.ip,
            self.address.port,
            authority=self.pki / "server-ca.crt",
            certificate=self.pki / "admin.crt",
            key=self.pki / "admin.key",
        )


@contextlib.contextmanager
def opened_fresh(ground: Ground) -> Iterator[Once]:
    """Every turn starts an etcd and a kube-apiserver on nothing."""
    home = ground.folder("fresh")
    turns = iter(range(1000))

    def once() -> Samples:
        directory = home / str(next(turns))
        directory.mkdir()
        prepared = _prepare(ground, directory, etcd_home=directory, prefix="/registry")
        began = time.monotonic()
        with _etcd(ground, directory), _apiserver(prepared, directory) as process:
            _await_ready(prepared, process, path="/readyz", log=directory / "apiserver.log")
            seconds = time.monotonic() - began
        return {names.BARE_FRESH: [seconds]}

    yield once


@contextlib.contextmanager
def opened_template(ground: Ground) -> Iterator[Once]:
    """Every turn seeds a prefix of a running etcd and starts a kube-apiserver on it."""
    home = ground.folder("seeded")
    turns = iter(range(1000))
    template = template_of(ground)
    with _etcd(ground, home):
        datastore = Datastore(etcd.socket(home))

        def once() -> Samples:
            name = f"bare-{next(turns)}"
            directory = home / name
            directory.mkdir()
            prepared = _prepare(ground, directory, etcd_home=home, prefix=f"/{name}")
            authority = (prepared.pki / "server-ca.crt").read_text()
            began = time.monotonic()
            datastore.seed(f"/{name}/", template.clone(service_range=_RANGE, certificate_authority=authority))
            with _apiserver(prepared, directory) as process:
                _await_ready(prepared, process, path=kube_apiserver.READY_PATH, log=directory / "apiserver.log")
                seconds = time.monotonic() - began
            datastore.delete(f"/{name}/")
            return {names.BARE_TEMPLATE: [seconds]}

        with contextlib.closing(datastore):
            yield once


FRESH = Contender(
    name="apiserver",
    about="etcd and kube-apiserver on nothing, until /readyz",
    metrics=(Metric(name=names.BARE_FRESH, unit="s", base=names.ENVTEST_START),),
    opened=opened_fresh,
)
TEMPLATE = Contender(
    name="template",
    about="kube-apiserver on a prefix seeded from the template, until ready but for the two hooks that sleep",
    metrics=(Metric(name=names.BARE_TEMPLATE, unit="s", base=names.BARE_FRESH),),
    opened=opened_template,
)


def _prepare(ground: Ground, directory: Path, *, etcd_home: Path, prefix: str) -> _Prepared:
    address = for_api_server()
    pki = directory / "pki"
    certificates(pki, hosts=(*kube_apiserver.SERVER_NAMES, address.ip, _RANGE.kubernetes_ip))
    settings = kube_apiserver.Settings(
        name="bare",
        address=address,
        etcd_socket=etcd.socket(etcd_home),
        etcd_prefix=prefix,
        service_range=_RANGE.cidr,
        pki=pki,
    )
    program = kube_apiserver.component(ground.binaries[Component.KUBE_APISERVER], settings)
    return _Prepared(program=program, address=address, pki=pki)


@contextlib.contextmanager
def _etcd(ground: Ground, directory: Path) -> Iterator[None]:
    program = etcd.component(binary=ground.binaries[Component.ETCD], directory=directory)
    log = directory / "etcd.log"
    with running(_argv(program), log=log, env=_environment(program), cwd=directory) as process:
        datastore = Datastore(etcd.socket(directory))
        with contextlib.closing(datastore):
            _poll(datastore.is_healthy, process=process, what="etcd", log=log)
        yield


@contextlib.contextmanager
def _apiserver(prepared: _Prepared, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    program, log = prepared.program, directory / "apiserver.log"
    with running(_argv(program), log=log, env=_environment(program), cwd=directory) as process:
        yield process


def _await_ready(prepared: _Prepared, process: subprocess.Popen[bytes], *, path: str, log: Path) -> None:
    client = prepared.client()

    def ready() -> bool:
        try:
            return client.status(path)[0] == 200
        except (OSError, HTTPException):
            return False

    with contextlib.closing(client):
        _poll(ready, process=process, what="kube-apiserver", log=log)


def _poll(ready: Callable[[], bool], *, process: subprocess.Popen[bytes], what: str, log: Path) -> None:
    began = time.monotonic()
    while not ready():
        if process.poll() is not None:
            raise NotMeasured(f"{what} ended with {process.returncode}; its last words:\n{tail(log)}")
        if time.monotonic() - began > _DEADLINE_SECONDS:
            raise NotMeasured(f"{what} was not ready within {_DEADLINE_SECONDS:.0f} s; its last words:\n{tail(log)}")
        time.sleep(_POLL_SECONDS)


def _argv(program: Program) -> list[str]:
    return [str(program.binary), *program.arguments]


def _environment(program: Program) -> Mapping[str, str]:
    return {**_INHERITED_PATH, **program.environment}
