"""What is put into a virtual cluster and its host, and the rows that come of it."""

from bench import carry, loads, names, sightings
from bench.loads import Side, Sizes
from bench.targets import TARGETS

VIRTUAL = Side(word=names.VIRTUAL, namespace="bench", node_selector={})
HOST = Side(word=names.HOST, namespace="bench", node_selector={"tenant": "vc"})


def test_both_sides_get_the_same_pods_but_for_the_nodes_they_keep_to() -> None:
    here, there = loads.pods(3, VIRTUAL), loads.pods(3, HOST)
    assert [pod["spec"].pop("nodeSelector") for pod in there] == [{"tenant": "vc"}] * 3
    assert here == there
    assert len({pod["metadata"]["name"] for pod in here}) == 3
    template = loads.deployment(7, HOST)["spec"]
    assert (template["replicas"], template["template"]["spec"]["nodeSelector"]) == (7, {"tenant": "vc"})


def test_users_use_each_of_the_configmaps_that_are_to_be_used_once() -> None:
    used = [
        source["configMapRef"]["name"]
        for pod in loads.users(25, VIRTUAL)
        for source in pod["spec"]["containers"][0]["envFrom"]
    ]
    assert used == [obj["metadata"]["name"] for obj in loads.config_maps(40)[:25]]


def test_every_figure_of_the_virtual_cluster_stands_beside_its_hosts() -> None:
    rows = {metric.name: metric for metric in carry.metrics(Sizes.of(quick=False))}
    compared = [metric for metric in rows.values() if metric.base]
    assert {metric.base for metric in compared} <= rows.keys()
    assert all(metric.name.endswith(names.VIRTUAL) for metric in compared)
    assert len(compared) == 9


def test_targets_and_the_quick_run_name_rows_that_there_are() -> None:
    rows = {metric.name for metric in carry.CONTENDER.metrics}
    wanted = {
        name for target in TARGETS for name in (target.metric, target.against) if name and name.startswith("carry")
    }
    assert len(wanted) == 10
    assert wanted <= rows
    assert {metric.name for metric in carry.metrics(Sizes.of(quick=True))} <= rows


def test_figures_of_all_turns_of_a_row_are_put_together() -> None:
    notes = [{"row": "a", "figures": [1.0, 2.0]}, {"row": "b", "figures": [3.0]}, {"row": "a", "figures": [4.0]}]
    assert carry.samples(notes) == {"a": [1.0, 2.0, 4.0], "b": [3.0]}


def pod(name: str, *, ready: str, original: str = "") -> dict[str, object]:
    annotations = {"annotations": {"vcluster-syncer/name": original}} if original else {}
    return {
        "metadata": {"name": name, **annotations},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_both_sides_are_compared_by_the_virtual_name_and_by_the_first_time() -> None:
    seen = sightings.Sightings("host")
    seen.upsert(pod("web-abc", ready="False", original="web"))
    assert seen.ready == {}
    seen.upsert(pod("web-abc", ready="True", original="web"))
    first = dict(seen.ready)
    seen.upsert(pod("web-abc", ready="True", original="web"))
    assert seen.ready == first
    assert list(first) == ["web"]
    seen.remove(pod("web-abc", ready="True", original="web"))
    assert seen.there == {}
    assert sightings.lags({"a": 1.0, "b": 2.0}, {"a": 1.5}) == [500.0]
