"""`VCluster`: what a test holds.

One method for each thing a test does with a cluster; the work is done by the modules next to this one, which are
loaded when they are first needed, since the first test of a run waits for every import. The one rule: a call that fails
because a process of the cluster has died says so, whatever it was doing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pytest_vcluster.cluster.checkpoints import Checkpoints
from pytest_vcluster.cluster.guard import Guard
from pytest_vcluster.cluster.in_pods import InPods
from pytest_vcluster.cluster.outside import Outside
from pytest_vcluster.private_files import write_private

if TYPE_CHECKING:
    import kubernetes.client

    from pytest_vcluster.cluster.api import Api, Target
    from pytest_vcluster.cluster.host import HostView
    from pytest_vcluster.cluster.lease import Lease
    from pytest_vcluster.cluster.manifests import Source
    from pytest_vcluster.cluster.objects import Object
    from pytest_vcluster.settings import Settings

EVIDENCE_SECONDS = 10.0


class VCluster(Checkpoints, InPods, Outside):
    """A Kubernetes cluster of the test's own.

    Whatever takes long takes a `timeout` in seconds, by default that of `--vcluster-timeout`. Wherever a namespace may
    be left out it is `default`.
    """

    def __init__(self, lease: Lease, settings: Settings, directory: Path) -> None:
        """Make the handle of `lease`; `directory` is for its files and goes when the handle is closed."""
        self._is_closed = False
        grant = lease.grant
        self.lease = lease
        self.name: str = grant.cluster
        self.version: str = grant.version
        self.url: str = grant.url
        self.kubeconfig_dict: dict[str, Any] = _read_kubeconfig(grant.kubeconfig)
        self.context: str = self.kubeconfig_dict["current-context"]
        self.near: Callable[[], Sequence[Path]] = tuple
        """Where relative paths start from, before the current folder; whoever knows the test sets it."""
        self._settings = settings
        self._guarded = Guard(lease)
        self._directory = directory
        # As the fixture found it: a test that changes HOME must not send the toolchain to an empty cache.
        self._environ = dict(os.environ)
        self._closing = contextlib.ExitStack()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.kubeconfig: Path = write_private(directory / "kubeconfig", grant.kubeconfig)

    def __repr__(self) -> str:
        return f"<VCluster {self.name} {self.version} {self.url}>"

    @cached_property
    def api(self) -> Api:
        """The API server as this plugin itself talks to it; tests have their own clients."""
        from pytest_vcluster.cluster.api import Api  # noqa: PLC0415 - start-up time
        from pytest_vcluster.cluster.discovery import Discovery  # noqa: PLC0415 - start-up time
        from pytest_vcluster.cluster.rest import Rest, tls_context  # noqa: PLC0415 - start-up time

        certificate, key, _ = self._credentials
        tls = tls_context(
            certificate_authority=self.lease.grant.certificate_authority, certificate=certificate, key=key
        )
        rest = Rest(self.url, tls=tls, timeout=self._settings.timeout)
        self._closing.callback(rest.close)
        return Api(rest=rest, discovery=Discovery(rest), check=self._guarded.check)

    def api_client(self) -> kubernetes.client.ApiClient:
        """The official client, pointed here: `kubernetes.client.CoreV1Api(vcluster.api_client())`."""
        return self._client

    def use(self) -> contextlib.AbstractContextManager[Path]:
        """Have everything in this process that looks for a cluster find this one, for the length of a `with`."""
        from pytest_vcluster.cluster.ambient import pointed_at  # noqa: PLC0415 - start-up time

        return pointed_at(self.kubeconfig)

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
        timeout: float | None = None,
    ) -> str:
        """Run kubectl of the cluster's version and return what it prints.

        `input` is its standard input. It fails with KubectlError, which has `returncode`, `stdout` and `stderr`; with
        `check=False` what it printed is returned however it ended.
        """
        with self._guarded():
            return self._kubectl(
                [str(argument) for argument in arguments],
                kubeconfig=self.kubeconfig,
                input=input,
                check=check,
                timeout=self._seconds(timeout),
            )

    def apply(self, source: Source, *, namespace: str = "default", timeout: float | None = None) -> list[Object]:
        """Apply manifests and return the objects, in the order given, as the server has them.

        `source` is a path, a folder, a glob, YAML text, a dict (also a `List`), or a list of these. A relative path
        starts from the folder of the test's file, from pytest's rootdir or from the current folder, whichever first
        has it; in `vcluster_baseline`, which is for all tests, from the current folder. Definitions come first and can
        be used at once, without a delay; namespaces come before what is in them. `namespace` is for objects that name
        none. Raises ManifestError for what can't be read and for what the server refuses, which is an ApiError too.
        """
        from pytest_vcluster.cluster import applying, manifests  # noqa: PLC0415 - start-up time

        documents = manifests.read_manifests(source, bases=self._bases())
        with self._guarded():
            return applying.apply(self.api, documents, namespace=namespace, timeout=self._seconds(timeout))

    def delete(
        self, source: Source, *, namespace: str = "default", wait: bool = True, timeout: float | None = None
    ) -> None:
        """Delete objects and wait until they are gone; what isn't there is gone already.

        `source` is what `apply` takes, or `"kind/name"`.
        """
        from pytest_vcluster.cluster import applying, manifests  # noqa: PLC0415 - start-up time

        with self._guarded():
            if isinstance(source, str) and _is_reference(source, bases=self._bases()):
                targets = [self.api.target(source, namespace=namespace)]
            else:
                documents = manifests.read_manifests(source, bases=self._bases())
                targets = applying.targets_of(self.api, documents, namespace=namespace)
            applying.delete(self.api, targets, wait=wait, timeout=self._seconds(timeout))

    @overload
    def get(self, kind: str, name: str, namespace: str | None = None) -> Object: ...
    @overload
    def get(
        self, kind: str, name: None = None, namespace: str | None = None, *, selector: str | None = None
    ) -> list[Object]: ...

    def get(
        self, kind: str, name: str | None = None, namespace: str | None = None, *, selector: str | None = None
    ) -> Object | list[Object]:
        """One object, or without a name all of a kind; `namespace="*"` for those of all namespaces.

        `kind` is any word that kubectl takes: `Pod`, `pods`, `po`, `deployments.apps`. `selector` is one for labels.
        Raises ApiError with status 404 for an object that isn't there.
        """
        from pytest_vcluster.cluster.api import Target  # noqa: PLC0415 - start-up time

        with self._guarded():
            resource = self.api.discovery.called(kind)
            scope = (namespace or "default") if resource.namespaced else ""
            if name is not None:
                return self.api.get(Target(resource=resource, namespace=scope, name=name))
            query = {"labelSelector": selector} if selector else None
            return self.api.listed(resource, namespace="" if scope == "*" else scope, query=query, timeout=None)

    def wait(
        self,
        ref: str | Mapping[str, Any],
        condition: str,
        *,
        timeout: float | None = None,
        namespace: str | None = None,
    ) -> Object:
        """Wait for an object in kubectl's words, and return it as it then is.

        `ref` is `"deployment/web"` or an object; one that isn't there yet is waited for too. `condition` is
        `"Available"` (short for `"condition=Available"`), `"condition=Ready=False"`,
        `"jsonpath={.status.phase}=Running"`, `"create"` or `"delete"`. Raises Timeout, which tells what was last seen
        of it.
        """
        from pytest_vcluster.cluster.conditions import parse_condition  # noqa: PLC0415 - start-up time
        from pytest_vcluster.cluster.waiting import wait_until  # noqa: PLC0415 - start-up time

        wanted = parse_condition(condition)
        with self._guarded():
            target = self.api.target(ref, namespace=namespace)
            return wait_until(
                self.api,
                target,
                wanted,
                words=condition,
                timeout=self._seconds(timeout),
                explain=self._why_not_ready,
            )

    def events(self, ref: str | Mapping[str, Any] | None = None, *, namespace: str | None = None) -> list[Object]:
        """Events in the order in which things happened: of one object, of a namespace, or of the whole cluster."""
        from pytest_vcluster.cluster.events import events_of  # noqa: PLC0415 - start-up time

        with self._guarded():
            target = None if ref is None else self.api.target(ref, namespace=namespace)
            return events_of(self.api, target, namespace=namespace or "")

    def add_user(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for the user `name`, member of `groups`, who may do what role bindings grant."""
        from pytest_vcluster.cluster.users import add_user  # noqa: PLC0415 - start-up time

        return add_user(self.lease.grant, self._directory / "users", name, groups)

    def evidence(self, directory: str | Path, *, timeout: float = EVIDENCE_SECONDS) -> Path:
        """Write what happened in the cluster so far to `directory`: changed objects, events, logs. Never fails."""
        from pytest_vcluster.cluster.evidence import collect  # noqa: PLC0415 - start-up time

        return collect(self, Path(directory), timeout=timeout).directory

    @property
    def host(self) -> HostView:
        """What the host knows of this cluster."""
        from pytest_vcluster.cluster.host import HostView  # noqa: PLC0415 - start-up time

        return HostView(self.name, self.lease.grant.host, self._on_host)

    def close(self, *, keep_files: bool = False) -> None:
        """Close all connections and remove the handle's files, unless somebody is still to use the kubeconfig."""
        self._is_closed = True
        self._closing.close()
        if not keep_files:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _closed(self) -> bool:
        return self._is_closed

    @cached_property
    def _credentials(self) -> tuple[Path, Path, Path]:
        """Files with the client certificate, its key, and the server's authority: ssl reads nothing else."""
        grant = self.lease.grant
        texts = {"client.crt": grant.client_certificate, "client.key": grant.client_key}
        certificate, key = (write_private(self._directory / name, text) for name, text in texts.items())
        return certificate, key, write_private(self._directory / "ca.crt", grant.certificate_authority)

    @cached_property
    def _client(self) -> kubernetes.client.ApiClient:
        from pytest_vcluster.cluster.official_client import make_client  # noqa: PLC0415 - a second of start-up time

        certificate, key, authority = self._credentials
        making = make_client(self.url, certificate=certificate, key=key, authority=authority)
        return self._closing.enter_context(making)

    @cached_property
    def _kubectl(self) -> Callable[..., str]:
        from pytest_vcluster.cluster import kubectl  # noqa: PLC0415 - start-up time

        binary = kubectl.find(self.version, offline=self._settings.offline, environ=self._environ)
        return partial(kubectl.run, binary, home=self._directory / "kubectl", look=self._guarded.check)

    def _on_host(self, arguments: tuple[str, ...], kubeconfig: Path) -> str:
        with self._guarded():
            return self._kubectl(
                arguments, kubeconfig=kubeconfig, input=None, check=True, timeout=self._settings.timeout
            )

    def _why_not_ready(self, target: Target) -> str:
        from pytest_vcluster.cluster.pending import explain  # noqa: PLC0415 - start-up time

        kind, name, namespace = target.resource.kind, target.name, target.namespace
        return explain(self.lease.grant.host, self.name, kind=kind, name=name, namespace=namespace)

    def _bases(self) -> Sequence[Path]:
        return *self.near(), Path.cwd()

    def _seconds(self, timeout: float | None) -> float:
        return self._settings.timeout if timeout is None else timeout


def _read_kubeconfig(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        document: dict[str, Any] = json.loads(text)
        return document
    import yaml  # noqa: PLC0415 - the ones made here are JSON

    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def _is_reference(source: str, *, bases: Sequence[Path]) -> bool:
    """Whether a text is `kind/name`; a path that exists is a path."""
    kind, slash, name = source.partition("/")
    plain = bool(kind and slash and name) and not set(source) & set("*?[]\n {}\\") and "/" not in name
    if not plain or "://" in source or name.endswith((".yaml", ".yml", ".json")):
        return False
    return not any((base / source).exists() for base in bases)
