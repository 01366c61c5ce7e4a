"""What goes wrong in the middle of recycling ends with a reason, never with a cluster that is handed out."""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from recycled_cluster import Place, etcd

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CORE = "/api/v1/namespaces/default"
DYING = Path(__file__).with_name("dying_syncer.py")
STEPS = ("freeze", "reset", "barrier", "drain", "discovery", "quiet", "verify")


def dirty(cluster):
    for number in range(5):
        cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": f"c{number}"}})
    spec = {"ports": [{"port": 80}]}
    cluster.call("POST", f"{CORE}/services", {"metadata": {"name": "s"}, "spec": spec})


class Replacing:
    """Starts what it is told, but for the syncer, which dies at a step once `armed` exists."""

    def __init__(self, processes, step, armed):
        self._processes, self._step, self._armed = processes, step, armed

    async def start(self, component):
        if component.name == "syncer":
            arguments = (str(DYING), self._step, str(self._armed), *component.arguments[2:])
            component = dataclasses.replace(component, arguments=arguments)
        return await self._processes.start(component)


@pytest.mark.parametrize("step", STEPS)
def test_recycler_killed_at_a_step(tmp_path, step):
    armed = tmp_path / "armed"
    with Place(starter=lambda processes: Replacing(processes, step, armed)) as place, place.cluster() as cluster:
        dirty(cluster)
        armed.touch()
        assert "the recycler failed" in cluster.recycle()
        deadline = time.monotonic() + 60
        while not place.opened.failed.is_set():  # so the service closes all that hung on it
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (death,) = place.opened.deaths
        assert (death.component, death.status) == ("syncer", "killed by signal 9")


def process_of(part):
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if all(each in command for each in part):
            return int(entry.name)
    message = f"no process {part}"
    raise AssertionError(message)


def test_data_store_is_full():
    with Place() as place, place.cluster() as cluster:
        dirty(cluster)
        etcd(cluster, "/v3/maintenance/alarm", {"action": "ACTIVATE", "memberID": "0", "alarm": "NOSPACE"})
        assert "database space exceeded" in cluster.recycle()


def test_data_store_does_not_answer():
    with Place() as place, place.cluster() as cluster:
        dirty(cluster)
        pid = process_of(["/etcd\0", str(place.directory)])
        os.kill(pid, signal.SIGSTOP)
        try:
            assert "etcd gave no answer" in cluster.recycle()
        finally:
            os.kill(pid, signal.SIGCONT)


def test_history_is_compacted():
    with Place() as place, place.cluster() as cluster:
        dirty(cluster)
        revision = etcd(cluster, "/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        etcd(cluster, "/v3/kv/compaction", {"revision": revision, "physical": True})
        assert cluster.recycle() == ""
        assert cluster.differences() == []


def test_controller_manager_is_gone():
    with Place() as place, place.cluster() as cluster:
        dirty(cluster)
        os.kill(cluster.cluster.plane.controller_manager.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not cluster.cluster.plane.controller_manager.exited.done():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "can't be stopped" in cluster.recycle()


def test_whoever_writes_after_the_verification_is_noticed():
    with Place() as place, place.cluster() as cluster:
        assert cluster.recycle() == ""
        cluster.cluster.facts("https://127.0.0.1:1")
        dirty(cluster)
        with pytest.raises(Exception, match="written to after it was verified: configmaps/default/c0"):
            cluster.cluster.facts("https://127.0.0.1:1")
