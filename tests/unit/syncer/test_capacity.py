"""Whether the host has room: a sum over nodes, pods and what others were promised."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import tenant
from vcluster_syncer import capacity, quantities

SHARED = tenant("vc-new", private_nodes=False)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2", 2),
        ("500m", Fraction(1, 2)),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("1Ki", 1024),
        ("16Gi", 16 * 2**30),
        ("1k", 1000),
        ("1e3", 1000),
        ("12E-1", Fraction(12, 10)),
        ("2E", 2 * 10**18),
        ("100n", Fraction(1, 10**7)),
        ("+3", 3),
    ],
)
def test_amounts_are_read_as_kubernetes_means_them(text: str, amount: Any) -> None:
    assert quantities.parse(text) == amount


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1gi", "1e", "m", "--1", "1Q"])
def test_what_is_no_amount_is_an_error_that_shows_some(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity; 4, 500m and 16Gi are"):
        quantities.parse(text)


@pytest.mark.parametrize(("text", "shown"), [("1536Mi", "1.5Gi"), ("250m", "0.25"), ("1024", "1Ki"), ("0", "0")])
def test_amounts_are_shown_for_people(text: str, shown: str) -> None:
    assert quantities.shown(quantities.parse(text)) == shown


def node(name: str = "n", cpu: str = "4", **spec: Any) -> dict[str, Any]:
    labels = spec.pop("labels", {})
    conditions = [{"type": "Ready", "status": spec.pop("ready", "True")}, {"type": "DiskPressure", "status": "False"}]
    status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "10"}, "conditions": conditions}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def pod(namespace: str, cpu: str | None = "1", node: str | None = "n", phase: str = "Running") -> dict[str, Any]:
    asked = {"resources": {"requests": {"cpu": cpu}}} if cpu else {}
    spec = {"containers": [asked], **({"nodeName": node} if node else {})}
    return {"metadata": {"namespace": namespace, "name": "p"}, "spec": spec, "status": {"phase": phase}}


def space(name: str, reserve: dict[str, str] | None = None, asking: bool = False, **changes: Any) -> dict[str, Any]:
    owner = tenant(name, **{"private_nodes": False, **changes})
    annotations = {capacity.RESERVED: capacity.note(reserve, owner, asking=asking)} if reserve else {}
    return {"metadata": {"name": name, "annotations": annotations}}


OWN = space("vc-new-ns", {"cpu": "4"}, asking=True)


def refusal(reserve: dict[str, str], *, of: Any = SHARED, **there: Any) -> str:
    found = {"nodes": [node()], "pods": [], "namespaces": [OWN], **there}
    return capacity.refusal(of, reserve, **found)


def test_what_fits_is_not_refused_and_what_does_not_is_told_with_figures() -> None:
    assert refusal({"cpu": "4", "memory": "8Gi", "pods": "10"}) == ""
    assert refusal({"cpu": "4001m", "memory": "9Gi"}) == (
        "the host has no room for tenant 'vc-new' on its 1 usable nodes. "
        "cpu: 4001m asked for, 4 free of 4 (0 reserved by other clusters, 0 used besides); "
        "memory: 9Gi asked for, 8Gi free of 8Gi (0 reserved by other clusters, 0 used besides). "
        "End other clusters, ask for less in `reserve`, or add nodes."
    )
    assert "gpu: 1 asked for, 0 free of 0" in refusal({"gpu": "1"})


@pytest.mark.parametrize(
    ("there", "free"),
    [
        ({"nodes": [node(), node("m")]}, "8"),
        ({"nodes": []}, "0"),
        ({"nodes": [node(unschedulable=True)]}, "0"),
        ({"nodes": [node(ready="Unknown")]}, "0"),
        ({"nodes": [node(taints=[{"key": "k", "effect": "NoSchedule"}])]}, "0"),
        ({"nodes": [node(taints=[{"key": "k", "effect": "PreferNoSchedule"}])]}, "4"),
        # Simulated for one tenant alone.
        ({"nodes": [node(labels={"vcluster-syncer/tenant": "vc-a1"})]}, "0"),
        ({"pods": [pod("elsewhere"), pod("elsewhere", "500m")]}, "2.5"),
        ({"pods": [pod("elsewhere", None)]}, "4"),
        ({"pods": [pod("elsewhere", node=None), pod("elsewhere", node="other")]}, "4"),
        ({"pods": [pod("elsewhere", phase="Succeeded"), pod("elsewhere", phase="Failed")]}, "4"),
        # What is in its own namespace is on its own account.
        ({"pods": [pod("vc-new-ns", "3")]}, "4"),
        ({"namespaces": [OWN, space("vc-old", {"cpu": "3"})]}, "1"),
        # Promised is promised, used or not; what is used beyond it counts, too, scheduled or not.
        ({"namespaces": [OWN, space("vc-old", {"cpu": "3"})], "pods": [pod("vc-old", "2")]}, "1"),
        ({"namespaces": [OWN, space("vc-old", {"cpu": "1"})], "pods": [pod("vc-old", "2", node=None)]}, "2"),
        # What is asked for at the same moment may have been granted when this is read.
        ({"namespaces": [OWN, space("vc-other", {"cpu": "3"}, asking=True)]}, "1"),
        # Of nodes of its own.
        ({"namespaces": [OWN, space("vc-old", {"cpu": "3"}, private_nodes=True)]}, "4"),
    ],
)
def test_what_is_free(there: dict[str, Any], free: str) -> None:
    assert refusal({"cpu": free}, **there) == ""
    assert f"{free} free of" in refusal({"cpu": "100"}, **there)


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"nodes": "shared"}', '{"nodes": "shared", "resources": 5}'])
def test_a_promise_that_cannot_be_read_binds_nobody(text: str) -> None:
    odd = {"metadata": {"name": "odd", "annotations": {capacity.RESERVED: text}}}
    assert refusal({"cpu": "4"}, namespaces=[OWN, odd]) == ""


def test_a_refusal_while_others_ask_may_not_be_the_last_word() -> None:
    asking, granted = space("a", {"cpu": "3"}, asking=True), space("b", {"cpu": "3"})
    assert capacity.is_contested(SHARED, [OWN, asking, granted])
    assert not capacity.is_contested(SHARED, [OWN, granted])


def test_a_tenant_with_nodes_of_its_own_asks_only_them() -> None:
    own = tenant("vc-new")
    mine = node("mine", cpu="2", labels={"vcluster-syncer/tenant": "vc-new"})
    crowd = {"namespaces": [OWN, space("vc-old", {"cpu": "9"})], "pods": [pod("vc-old", "9")]}
    assert refusal({"cpu": "2"}, of=own, nodes=[node(), mine], **crowd) == ""
    assert "2 free of 2" in refusal({"cpu": "3"}, of=own, nodes=[node(), mine], **crowd)


def requesting(cpu: str, **fields: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **fields}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [requesting("1"), requesting("2"), {}]}, 3),
        ({"containers": [requesting("1")], "initContainers": [requesting("4"), requesting("3")]}, 4),
        ({"containers": [requesting("3")], "initContainers": [requesting("2")]}, 3),
        # A sidecar runs along with everything after it.
        ({"containers": [requesting("1")], "initContainers": [requesting("2", restartPolicy="Always")]}, 3),
        (
            {
                "containers": [requesting("1")],
                "initContainers": [requesting("1", restartPolicy="Always"), requesting("5")],
            },
            6,
        ),
        ({"containers": [requesting("1")], "overhead": {"cpu": "250m"}}, Fraction(5, 4)),
        ({"containers": [requesting("1")], **requesting("2")}, 2),
    ],
)
def test_a_pod_counts_as_the_scheduler_counts_it(spec: dict[str, Any], cpu: Any) -> None:
    assert capacity.requests({"spec": spec}) == {"cpu": cpu, "pods": 1}


@given(st.lists(st.integers(1, 3000), max_size=6), st.integers(1, 6000))
def test_no_more_is_ever_promised_than_there_is(promised: list[int], asked: int) -> None:
    """Each in turn asks for as much as it likes; those who got it never sum up to more than the nodes have."""
    spaces: list[dict[str, Any]] = []
    kept = 0
    for number, amount in enumerate([*promised, asked]):
        name = f"vc-{number}"
        mine = space(f"{name}-ns", {"cpu": f"{amount}m"})
        if not refusal({"cpu": f"{amount}m"}, of=tenant(name, private_nodes=False), namespaces=[*spaces, mine]):
            spaces.append(mine)
            kept += amount
    assert kept <= 4000
