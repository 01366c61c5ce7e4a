"""What a lease leaves on the host ends there in its own time, while the next lease runs under other names."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from syncer_case import CONTAINER, QUICK, TENANT, Case, admin_of, config_file, syncer, syncer_process
from two_api_servers import NAMESPACES, SERVICE_ACCOUNTS, Api, eventually, started
from vcluster_syncer.kube.errors import AlreadyExists
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import CONFIGMAPS, PERSISTENT_VOLUMES, PODS, PRIORITY_CLASSES, SERVICES

EPOCH, NAMESPACE = "vcluster-syncer/epoch", "vcluster-syncer/namespace"
HELD = {"metadata": {"finalizers": ["example.com/held"]}}
FREED = {"metadata": {"finalizers": None}}
LABELS = {"metadata": {"labels": {"app": "web"}}}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def directory():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@contextlib.asynccontextmanager
async def case_of(servers):
    async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:

        async def is_settled():
            # Its hooks still write: what is captured before they are done is no baseline.
            request = Request(method="GET", path="/readyz")
            return await virtual.client.send_raw(request) == b"ok"

        await eventually(is_settled, seconds=90)
        with contextlib.suppress(AlreadyExists):
            # Recycling asks with pods there whether admission has forgotten a class.
            await virtual.create(SERVICE_ACCOUNTS, "kube-system", "default")
        yield await Case.prepare(host, virtual, servers.first)


async def carried(case, servers, admin, **changes):
    """Carry a tenant that drains in the background, and can be put back."""
    recycle = {"etcd": str(servers.etcd), "prefix": f"/{servers.first.name}/"}
    await case.carried_by(admin, **{"drain": "background", "recycle": recycle, **changes})


async def captured(case, admin):
    status, answer = await admin.call("POST", f"/v1/tenants/{case.name}/baseline")
    assert status == 200, answer


async def recycled(case, admin):
    """Put the cluster back; returns the epoch that it is in then."""
    before = (await told(admin))["epoch"]
    status, answer = await admin.call("POST", f"/v1/tenants/{case.name}/recycle")
    assert (status, answer["reason"]) == (200, ""), answer
    epoch = (await told(admin))["epoch"]
    assert epoch > before
    return epoch


async def told(admin):
    return (await admin.call("GET", "/v1/tenants"))[1][0]


def in_epoch(objects, epoch):
    return [one for one in objects if one["metadata"]["labels"].get(EPOCH, "0") == str(epoch)]


def address(case):
    return f"{case.server.service_range.rpartition('.')[0]}.10"


async def web(case):
    """A service of a pod with settings, with an address of its own choice."""
    ip = address(case)
    spec = {"clusterIP": ip, "ports": [{"port": 80}], "selector": {"app": "web"}}
    await case.virtual.create(SERVICES, "default", "web", spec=spec)
    await case.virtual.create(CONFIGMAPS, "default", "settings", data={"colour": "blue"})
    sources = [{"configMapRef": {"name": "settings"}}]
    containers = [{"name": "main", "image": "app", "envFrom": sources}]
    spec = {"containers": containers, "terminationGracePeriodSeconds": 600}
    await case.virtual.create(PODS, "default", "web", spec=spec, **LABELS)
    return await case.run("web")


async def of_present(case, resource, name, epoch):
    """Wait for the host object of a virtual one in an epoch."""

    async def found():
        return in_epoch(await case.host_objects(resource, name), epoch)

    (made,) = await eventually(found)
    return made


def test_a_pod_that_the_host_holds_holds_up_nobody(servers, directory):
    async def scenario():
        async with case_of(servers) as case, syncer(directory, servers.host) as admin:
            await carried(case, servers, admin)
            await captured(case, admin)
            old = await web(case)
            await case.host.patch(PODS, case.name, old["metadata"]["name"], HELD)
            epoch = await recycled(case, admin)
            held = await case.host.get(PODS, case.name, old["metadata"]["name"])
            assert held["metadata"]["labels"][TENANT] == case.name
            await web_again(case, held, epoch)
            await eventually(lambda: is_asked_to_go(case, case.name, held["metadata"]["name"]))
            # What goes by itself has gone, in its own time.
            await eventually(lambda: is_left_over(admin, 1))
            await case.host.patch(PODS, case.name, held["metadata"]["name"], FREED)
            await eventually(lambda: nothing_left_over(case, admin, epoch=epoch))

    asyncio.run(scenario())


async def web_again(case, held, epoch):
    """The next lease makes the same, and gets it at once."""
    ip = address(case)
    spec = {"clusterIP": ip, "ports": [{"port": 80}], "selector": {"app": "web"}}
    await case.virtual.create(SERVICES, "default", "web", spec=spec)
    await case.virtual.create(CONFIGMAPS, "default", "settings", data={"colour": "red"})
    containers = [{"name": "main", "image": "app", "envFrom": [{"configMapRef": {"name": "settings"}}]}]
    await case.virtual.create(PODS, "default", "web", spec={"containers": containers}, **LABELS)
    pod = await of_present(case, PODS, "web", epoch)
    assert pod["metadata"]["name"] != held["metadata"]["name"]
    settings = await of_present(case, CONFIGMAPS, "settings", epoch)
    assert settings["data"] == {"colour": "red"}
    assert pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] == settings["metadata"]["name"]
    service = await of_present(case, SERVICES, "web", epoch)
    assert service["spec"]["clusterIP"] == ip
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert not service["spec"]["selector"].items() <= held["metadata"]["labels"].items()
    await case.host.bind(case.name, pod["metadata"]["name"], f"{case.name}-node-1")
    await case.set_status(pod, ready=True)

    await eventually(lambda: is_running(case, "web"))


async def is_running(case, name):
    return (await case.virtual.get(PODS, "default", name))["status"]["phase"] == "Running"


async def is_asked_to_go(case, namespace, name):
    return (await case.host.get(PODS, namespace, name))["metadata"].get("deletionGracePeriodSeconds") == 0


async def is_left_over(admin, count):
    return (await told(admin))["left_over"] == count


async def nothing_left_over(case, admin, *, epoch):
    """Whether all that is on the host is of the present epoch or of the first."""
    for resource in (PODS, SERVICES, CONFIGMAPS):
        for one in await case.host.list(resource, case.name, labels=f"{TENANT}={case.name}"):
            if one["metadata"]["labels"].get(EPOCH, "0") not in {"0", str(epoch)}:
                return False
    return (await told(admin))["left_over"] == 0


def test_what_the_baseline_has_on_the_host_stays_there(servers, directory):
    async def scenario():
        async with case_of(servers) as case, syncer(directory, servers.host) as admin:
            await carried(case, servers, admin)
            pod = await web(case)
            # What the host says later would be no part of the baseline.
            await eventually(lambda: is_running(case, "web"))
            await captured(case, admin)
            service = await case.on_host(SERVICES, "web")
            held = []
            for _ in range(3):
                epoch = await recycled(case, admin)
                for one in held:
                    # Nothing that selects the tenant's pods finds it any more.
                    found = await case.host.get(PODS, case.name, one)
                    assert not service["spec"]["selector"].items() <= found["metadata"]["labels"].items()
                    assert NAMESPACE not in found["metadata"]["labels"]
                    await case.host.patch(PODS, case.name, one, FREED)
                assert uid(await case.on_host(PODS, "web")) == uid(pod)
                assert uid(await case.on_host(SERVICES, "web")) == uid(service)
                # The lease's own pods are behind the baseline's service, and use its settings.
                sources = [{"configMapRef": {"name": "settings"}}]
                spec = {"containers": [{"name": "main", "image": "app", "envFrom": sources}]}
                await case.virtual.create(PODS, "default", "other", spec=spec, **LABELS)
                other = await of_present(case, PODS, "other", epoch)
                assert service["spec"]["selector"].items() <= other["metadata"]["labels"].items()
                settings = await case.on_host(CONFIGMAPS, "settings")
                (source,) = other["spec"]["containers"][0]["envFrom"]
                assert source["configMapRef"]["name"] == settings["metadata"]["name"]
                held = [other["metadata"]["name"]]
                await case.host.patch(PODS, case.name, *held, HELD)

    asyncio.run(scenario())


def uid(found):
    return found["metadata"]["uid"]


def test_what_has_no_namespace_goes_too(servers, directory):
    async def classes(case):
        return await case.host.list(PRIORITY_CLASSES, labels=f"{TENANT}={case.name}")

    async def scenario():
        async with (
            case_of(servers) as case,
            syncer(directory, servers.host, on=["to_host.priority_classes"]) as admin,
        ):
            await carried(case, servers, admin)
            await captured(case, admin)
            epoch = 0
            for value in (10, 20, 30):
                await case.virtual.create(PRIORITY_CLASSES, "", "high", value=value)
                (made,) = await eventually(lambda: classes(case))
                assert (made["value"], made["metadata"]["labels"].get(EPOCH, "0")) == (value, str(epoch))
                await case.host.patch(PRIORITY_CLASSES, "", made["metadata"]["name"], HELD)
                epoch = await recycled(case, admin)
                await case.host.patch(PRIORITY_CLASSES, "", made["metadata"]["name"], FREED)

                async def gone():
                    return not await classes(case)

                await eventually(gone)

    asyncio.run(scenario())


def test_who_deletes_within_a_lease_is_waited_for_as_ever(servers, directory):
    async def scenario():
        async with case_of(servers) as case, syncer(directory, servers.host) as admin:
            await carried(case, servers, admin)
            await captured(case, admin)
            epoch = await recycled(case, admin)
            old = await web(case)
            await eventually(lambda: is_running(case, "web"))
            await case.virtual.delete(PODS, "default", "web", grace=600)

            async def ending():
                return (await case.host.get(PODS, case.name, old["metadata"]["name"]))["metadata"].get(
                    "deletionGracePeriodSeconds"
                )

            assert await eventually(ending) == 600
            assert await case.virtual.find(PODS, "default", "web") is not None
            await case.host.delete(PODS, case.name, old["metadata"]["name"], grace=0)

            async def gone():
                return await case.virtual.find(PODS, "default", "web") is None

            await eventually(gone)
            await case.create_pod("web")
            again = await of_present(case, PODS, "web", epoch)
            assert again["metadata"]["name"] == old["metadata"]["name"]

    asyncio.run(scenario())


def test_a_service_that_stays_keeps_its_address_and_is_waited_for(servers, directory):
    async def scenario():
        async with case_of(servers) as case, syncer(directory, servers.host, timing=QUICK) as admin:
            await carried(case, servers, admin)
            await captured(case, admin)
            await web(case)
            service = await case.on_host(SERVICES, "web")
            await case.host.patch(SERVICES, case.name, service["metadata"]["name"], HELD)
            recycling = asyncio.create_task(recycled(case, admin))
            await asyncio.sleep(0.5)
            assert not recycling.done()
            await case.host.patch(SERVICES, case.name, service["metadata"]["name"], FREED)
            await recycling

    asyncio.run(scenario())


def test_a_syncer_that_is_killed_meanwhile_leaves_nothing_to_stay(servers, directory):
    def copied(host_object):
        """What a request of the dead syncer that was under way makes, later."""
        fields = {name: value for name, value in host_object.items() if name in {"data", "spec"}}
        metadata = {name: host_object["metadata"][name] for name in ("labels", "annotations")}
        return host_object["metadata"]["name"], {"metadata": metadata, **fields}

    async def scenario():
        async with case_of(servers) as case:
            config = config_file(directory, servers.host)
            with syncer_process(config, directory / "log") as process:
                async with admin_of(directory) as admin:
                    await carried(case, servers, admin)
                    await case.create_pod("baseline")
                    baseline = await case.run("baseline")
                    await eventually(lambda: is_running(case, "baseline"))
                    await captured(case, admin)
                    await recycled(case, admin)
                    old = await web(case)
                    settings = await case.on_host(CONFIGMAPS, "settings")
                    await case.host.patch(PODS, case.name, old["metadata"]["name"], HELD)
                    epoch = await recycled(case, admin)
                    # The lease that is on when the syncer dies.
                    await case.create_pod("now")
                    now = await case.run("now")
                    name, late = copied(settings)
                    await eventually(lambda: is_gone(case, CONFIGMAPS, name))
                process.kill()
                process.wait()
            await case.host.create(CONFIGMAPS, case.name, name, **late)
            with syncer_process(config, directory / "log"):
                async with admin_of(directory) as admin:
                    await carried(case, servers, admin)
                    assert (await told(admin))["epoch"] == epoch
                    await eventually(lambda: is_gone(case, CONFIGMAPS, name))
                    for one, of in ((baseline, 0), (now, epoch)):
                        found = await case.host.get(PODS, case.name, one["metadata"]["name"])
                        assert uid(found) == uid(one)
                        assert found["metadata"]["labels"].get(EPOCH, "0") == str(of)
                        assert "deletionTimestamp" not in found["metadata"]
                    # Late, and not alone.
                    await case.host.create(CONFIGMAPS, case.name, name, **late)
                    await eventually(lambda: is_gone(case, CONFIGMAPS, name))
                    await case.host.patch(PODS, case.name, old["metadata"]["name"], FREED)
                    await eventually(lambda: nothing_left_over(case, admin, epoch=epoch))

    asyncio.run(scenario())


async def is_gone(case, resource, name):
    return await case.host.find(resource, case.name, name) is None


def test_host_namespaces_of_an_ended_lease_go_when_they_are_empty(servers, directory):
    async def spaces(case, epoch):
        found = await case.host.list(NAMESPACES, labels=f"{TENANT}={case.name}")
        return [
            one for one in in_epoch(found, epoch) if one["metadata"]["annotations"]["vcluster-syncer/name"] == "team"
        ]

    async def team(case, epoch):
        """The lease's own namespace, with a pod in it."""
        await case.virtual.create(NAMESPACES, "", "team")
        await case.virtual.create(SERVICE_ACCOUNTS, "team", "default")
        (space,) = await eventually(lambda: spaces(case, epoch))
        name = space["metadata"]["name"]
        # On the host a controller would make it.
        await case.host.create(SERVICE_ACCOUNTS, name, "default")
        await case.virtual.create(PODS, "team", "web", spec={"containers": [CONTAINER]})
        (pod,) = await eventually(lambda: case.host.list(PODS, name))
        return space, pod

    async def scenario():
        async with case_of(servers) as case, syncer(directory, servers.host, on=["to_host.namespaces"]) as admin:
            await carried(case, servers, admin, namespaces={"mode": "each"})
            await captured(case, admin)
            kept = {uid(one) for one in await case.host.list(NAMESPACES, labels=f"{TENANT}={case.name}")}
            old, pod = await team(case, 0)
            place = old["metadata"]["name"], pod["metadata"]["name"]
            await case.host.patch(PODS, *place, HELD)
            epoch = await recycled(case, admin)
            new, _ = await team(case, epoch)
            assert new["metadata"]["name"] != old["metadata"]["name"]
            await eventually(lambda: is_asked_to_go(case, *place))
            await case.host.patch(PODS, *place, FREED)

            async def is_ending():
                found = await case.host.get(NAMESPACES, "", place[0])
                return "deletionTimestamp" in found["metadata"] and found

            ending = await eventually(is_ending)
            assert (await told(admin))["left_over"] == 1
            await case.host.finalize({**ending, "spec": {"finalizers": []}})
            await eventually(lambda: is_left_over(admin, 0))
            there = {uid(one) for one in await case.host.list(NAMESPACES, labels=f"{TENANT}={case.name}")}
            assert there == kept | {uid(new)}

    asyncio.run(scenario())


def test_what_the_host_knows_by_name_stays_with_the_baseline_and_goes_with_the_lease(servers, directory):
    async def scenario():
        async with case_of(servers) as case, syncer(directory, servers.host) as admin:
            named = {"default/db": "tenant-db", "default/web": "tenant-web"}
            await carried(case, servers, admin, to_host={"services": named})
            spec = {"ports": [{"port": 80}], "selector": {"app": "db"}}
            await case.virtual.create(SERVICES, "default", "db", spec=spec)
            db = await eventually(lambda: case.host.find(SERVICES, case.name, "tenant-db"))
            await captured(case, admin)
            await web(case)
            await eventually(lambda: case.host.find(SERVICES, case.name, "tenant-web"))
            epoch = await recycled(case, admin)
            assert await case.host.find(SERVICES, case.name, "tenant-web") is None
            copy = await of_present(case, SERVICES, "db", 0)

            async def is_of_the_present():
                found = await case.host.get(SERVICES, case.name, "tenant-db")
                assert found["metadata"]["uid"] == db["metadata"]["uid"]
                return found["spec"]["selector"] == copy["spec"]["selector"]

            await eventually(is_of_the_present)
            assert epoch

    asyncio.run(scenario())


def test_a_volume_that_a_lease_made_goes_with_it(servers, directory):
    async def scenario():
        switched = syncer(directory, servers.host, on=("to_host.persistent_volumes",))
        async with case_of(servers) as case, switched as admin:
            await carried(case, servers, admin)
            await captured(case, admin)
            spec = {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": "/srv/disk"},
                "storageClassName": "manual",
            }
            await case.virtual.create(PERSISTENT_VOLUMES, "", "disk", spec=spec)

            async def on_host():
                return await case.host.list(PERSISTENT_VOLUMES, labels=f"{TENANT}={case.name}")

            (made,) = await eventually(on_host)
            await recycled(case, admin)

            async def is_going():
                # There is no controller here who knows that nobody needs it.
                return all(one["metadata"].get("deletionTimestamp") for one in await on_host())

            await eventually(is_going)
            assert await case.virtual.list(PERSISTENT_VOLUMES) == []
            await case.host.patch(PERSISTENT_VOLUMES, "", made["metadata"]["name"], FREED)

    asyncio.run(scenario())
