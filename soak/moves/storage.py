"""Moves with volumes and devices, of which nothing is real.

The one rule: whatever changes what comes after it (default classes above all) is here too.
"""

from __future__ import annotations

from soak.model import Step
from soak.moves.move import Move, move
from soak.world import World


@move(2)
def volume(world: World) -> list[Step]:
    """A PersistentVolume."""
    spec = {
        "capacity": {"storage": f"{world.dice.between(1, 9)}Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": world.dice.pick(("Retain", "Delete")),
        "storageClassName": world.dice.pick(("", world.dice.name())),
        "hostPath": {"path": "/nowhere"},
    }
    return [world.create("persistentvolumes", {"spec": spec})]


@move(3)
def claim(world: World) -> list[Step]:
    """A PersistentVolumeClaim, perhaps of the default class."""
    dice = world.dice
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{dice.between(1, 9)}Gi"}},
        **dice.maybe(0.5, storageClassName=dice.name()),
    }
    return [world.create("persistentvolumeclaims", {"spec": spec})]


@move(3)
def storage_class(world: World) -> list[Step]:
    """A StorageClass; as the default one it changes every claim that comes after it."""
    dice = world.dice
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    parts = {"provisioner": "example.org/p", "volumeBindingMode": dice.pick(("Immediate", "WaitForFirstConsumer"))}
    return [world.create("storageclasses", parts, metadata=default if dice.chance(0.6) else {})]


@move(1)
def csi(world: World) -> list[Step]:
    """What a storage driver registers: itself, a node, a capacity, an attachment."""
    dice = world.dice
    driver = f"{dice.word()}.csi.example.org"
    attachment = {
        "attacher": driver,
        "nodeName": f"node-{dice.between(1, 3)}",
        "source": {"persistentVolumeName": dice.name()},
    }
    return dice.some(
        (
            world.create("csidrivers", {"spec": {"attachRequired": False}}, name=driver),
            world.create("csinodes", {"spec": {"drivers": [{"name": driver, "nodeID": "n"}]}}, name="node-1"),
            world.create("csistoragecapacities", {"storageClassName": dice.name(), "capacity": "1Gi"}),
            world.create("volumeattachments", {"spec": attachment}),
            world.create("volumeattributesclasses", {"driverName": driver, "parameters": {"a": "b"}}),
        )
    )


@move(2)
def devices(world: World) -> list[Step]:
    """What a device driver and its users make."""
    dice = world.dice
    driver, device_class = "gpu.example.org", dice.name()
    spec = {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": device_class}}]}}
    offered = {
        "driver": driver,
        "nodeName": f"node-{dice.between(1, 3)}",
        "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "gpu-0"}, {"name": "gpu-1"}],
    }
    return dice.some(
        (
            world.create(
                "deviceclasses", {"spec": {"selectors": [{"cel": {"expression": "true"}}]}}, name=device_class
            ),
            world.create("resourceclaims", {"spec": spec}),
            world.create("resourceclaimtemplates", {"spec": {"spec": spec}}),
            world.create("resourceslices", {"spec": offered}),
        )
    )


@move(1)
def runtime_class(world: World) -> list[Step]:
    """A RuntimeClass."""
    return [world.create("runtimeclasses", {"handler": world.dice.word()})]


@move(3)
def priority_class(world: World) -> list[Step]:
    """A PriorityClass; as the global default it changes every pod that comes after it."""
    dice = world.dice
    parts = {"value": dice.between(-1000, 1_000_000), **dice.maybe(0.5, globalDefault=True)}
    parts |= dice.maybe(0.2, preemptionPolicy="Never")
    return [world.create("priorityclasses", parts)]


MOVES: tuple[Move, ...] = (volume, claim, storage_class, csi, devices, runtime_class, priority_class)
