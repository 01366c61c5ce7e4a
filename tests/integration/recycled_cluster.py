"""One virtual cluster on an embedded host, without run service and plugin, that tests hurt and have recycled.

An event loop in a thread of its own carries it, so tests are plain functions.
"""

import asyncio
import contextlib
import json
import tempfile
import threading
from pathlib import Path

from pytest_vcluster.comparison import differences, read
from pytest_vcluster.comparison.reading import all_schemas
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts import opening, syncer
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import DEFAULT_NODES, Settings
from pytest_vcluster.toolchain.versions import KNOWN_PATCH

VERSION = KNOWN_PATCH["1.36"]
_SECONDS = 180.0
"""Far longer than anything takes on a machine with nothing else to do."""


def run_in(loop, coroutine):
    """Run a coroutine in the loop of another thread; one that takes too long is cancelled."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result(_SECONDS)
    except TimeoutError:
        future.cancel()
        raise


class RecycledCluster:
    """A cluster with its baseline taken; `fresh` is what its API told then."""

    def __init__(self, loop, directory, opened, cluster):
        self._loop = loop
        self.directory = directory
        self.backplane = opened
        self.cluster = cluster
        self.client = cluster.plane.api()
        self.fresh = read(self.client, with_schema=all_schemas)
        self.outcome = {}

    def call(self, method, path, body=None, **options):
        """A request as administrator; ApiError for what is refused."""
        return self.client.call(method, path, body, **options)

    def status(self, method, path, body=None):
        """The status of a request."""
        try:
            self.client.call(method, path, body)
        except ApiError as error:
            return error.status
        return 200

    def names(self, path):
        """Names of the objects of a collection."""
        return sorted(item["metadata"]["name"] for item in self.call("GET", path)["items"])

    def keys(self):
        """Stored keys, all of them."""
        datastore = Datastore(self.backplane.etcd_socket)
        try:
            return sorted(key.decode() for key in datastore.read(self.cluster.plane.settings.etcd_prefix))
        finally:
            datastore.close()

    def recycle(self):
        """Why the cluster is not pristine, or nothing."""
        return self.run(self.cluster.recycle())

    def recycle_told(self):
        """What the syncer said of a recycling, in full."""
        return syncer.recycled(syncer.connector(self.directory), self.cluster.name, timeout=60)

    def freeze(self, pid):
        """Tell the syncer of a new controller manager, which is to stand still while the cluster is put back."""
        syncer.restart(syncer.connector(self.directory), self.cluster.name, freeze=[pid], timeout=60)

    def differences(self):
        """How the cluster differs from what it was when it was fresh."""
        return differences(self.fresh, read(self.client, with_schema=self.fresh.has_other_schema))

    def run(self, coroutine):
        """Run a coroutine where the cluster lives."""
        return run_in(self._loop, coroutine)


class Place:
    """An embedded host in an event loop of its own, on which virtual clusters can be had."""

    def __init__(self, *, starter=lambda processes: processes, version=VERSION):
        self.version = version
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="clusters")
        self._temporary = tempfile.TemporaryDirectory(prefix="v", dir="/tmp")
        self.directory = Path(self._temporary.name)
        self._starter = starter
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self):
        self._thread.start()
        try:
            self.opened = self.run(self._open())
        except BaseException:
            self.__exit__()  # or the thread would keep the process from ending
            raise
        return self

    def __exit__(self, *_):
        try:
            self.run(self._stack.aclose())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()
            self._temporary.cleanup()

    async def _open(self):
        processes = self._starter(Processes(self.directory / "logs", register=lambda _: None))
        opened = opening.opened(
            Settings(versions=(self.version,)),
            self.directory,
            starter=processes,
            register=lambda _: None,
            progress=lambda _: None,
            will=lambda _: None,
        )
        shared = await self._stack.enter_async_context(opened)
        await shared.host_ready()
        return shared

    @contextlib.contextmanager
    def cluster(self):
        """A virtual cluster with its baseline taken."""
        stack = contextlib.AsyncExitStack()
        making = self.opened.virtual_cluster(version=self.version, nodes=DEFAULT_NODES)
        try:
            made = RecycledCluster(self.loop, self.directory, self.opened, self.run(stack.enter_async_context(making)))
            try:
                yield made
            finally:
                made.client.close()
        finally:
            self.run(stack.aclose())

    def run(self, coroutine):
        """Run a coroutine in the loop."""
        return run_in(self.loop, coroutine)


def etcd(cluster, path, body):
    """Talk to the etcd below a cluster through its JSON gateway."""
    datastore = Datastore(cluster.backplane.etcd_socket)
    try:
        return datastore._client.call("POST", path, json.loads(json.dumps(body)))
    finally:
        datastore.close()
