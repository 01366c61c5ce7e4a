"""Objects into a real cluster and out of it again through the handle."""

import time

import pytest
import yaml
from cluster_objects import config_map, custom, definition, namespace, pod

from pytest_vcluster.errors import ApiError, ManifestError, Timeout


def test_a_definition_and_its_objects_in_one_call_are_there_at_once(vcluster_module):
    given = [custom("Gadget", "a", size=3), definition("gadgets")]
    made, defined = vcluster_module.apply(given)
    assert made["spec"] == {"size": 3}
    assert made["metadata"]["namespace"] == "default"
    assert defined["metadata"]["name"] == "gadgets.example.com"
    assert vcluster_module.get("gadget", "a")["metadata"]["uid"] == made["metadata"]["uid"]


def test_the_first_create_after_a_definition_does_not_sleep(vcluster_module):
    """The API server's own sleep is 2 s; one create below it shows that there was none, however busy the machine is."""

    def seconds_to_create(plural):
        vcluster_module.apply(definition(plural))
        began = time.monotonic()
        path = f"/apis/example.com/v1/namespaces/default/{plural}"
        vcluster_module.api.rest.call("POST", path, body=custom(plural[:-1].title(), "a", size=1))
        return time.monotonic() - began

    assert any(seconds_to_create(plural) < 2 for plural in ("sprockets", "pulleys", "springs"))


def test_several_definitions_are_all_usable_by_every_client(vcluster_module):
    kinds = ["bolts", "nuts", "gears"]
    vcluster_module.apply([definition(plural, versions=("v1", "v2"), group="parts.io") for plural in kinds])
    printed = vcluster_module.kubectl("api-resources", "--api-group", "parts.io", "--output", "name")
    assert sorted(printed.split()) == sorted(f"{plural}.parts.io" for plural in kinds)
    for version in ("v1", "v2"):
        vcluster_module.kubectl(
            "create",
            "-f",
            "-",
            input=yaml.safe_dump(custom("Bolt", version, version=version, group="parts.io", size=1)),
        )
    assert [found["metadata"]["name"] for found in vcluster_module.get("bolts")] == ["v1", "v2"]


def test_a_definition_may_change_and_its_new_version_is_usable_at_once(vcluster_module):
    vcluster_module.apply(definition("wheels"))
    vcluster_module.apply(definition("wheels", versions=("v1", "v2")))
    (made,) = vcluster_module.apply(custom("Wheel", "a", version="v2", size=1))
    assert made["apiVersion"] == "example.com/v2"


def test_a_definition_deleted_and_made_anew_has_its_new_schema(vcluster_module):
    vcluster_module.apply([definition("levers"), custom("Lever", "a", size=1)])
    vcluster_module.delete(definition("levers"))
    with pytest.raises(ApiError):
        vcluster_module.get("levers")
    vcluster_module.apply([definition("levers", versions=("v3",), properties={"colour": {"type": "string"}})])
    assert vcluster_module.get("levers") == []
    with pytest.raises(ManifestError, match="unknown field|field not declared"):
        vcluster_module.apply(custom("Lever", "a", version="v3", size=1))
    vcluster_module.apply(custom("Lever", "a", version="v3", colour="red"))


def test_a_definition_that_the_server_refuses_is_told_with_its_reason_and_its_place(vcluster_module, tmp_path):
    broken = definition("brokens")
    broken["spec"]["names"]["plural"] = "others"
    path = tmp_path / "crd.yaml"
    path.write_text(f"# a definition\n---\n{yaml.safe_dump(broken)}")
    with pytest.raises(
        ManifestError, match=r"crd.yaml, document 1, line 3: CustomResourceDefinition brokens.example.com"
    ) as caught:
        vcluster_module.apply(path)
    assert 'must be spec.names.plural+"."+spec.group' in str(caught.value)
    assert isinstance(caught.value, ApiError)
    assert caught.value.status == 422


def test_an_object_that_its_schema_forbids_is_told_with_the_servers_reason(vcluster_module):
    vcluster_module.apply(definition("knobs"))
    with pytest.raises(ApiError, match="spec.size.*greater than or equal to 1") as caught:
        vcluster_module.apply(custom("Knob", "a", size=0))
    assert caught.value.reason == "Invalid"


def test_a_kind_without_a_definition_is_told_before_anything_is_written(vcluster_module):
    with pytest.raises(ManifestError, match="no kind Unheard in example.com/v1"):
        vcluster_module.apply([config_map("half"), custom("Unheard", "a")])
    with pytest.raises(ApiError) as caught:
        vcluster_module.get("cm", "half")
    assert caught.value.status == 404


def test_a_manifest_with_its_namespace_last_works_pods_included(vcluster_module, tmp_path):
    objects = [pod("web", "shop"), config_map("settings", "shop", a="b"), namespace("shop")]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(objects))
    applied = vcluster_module.apply(str(tmp_path / "*.yaml"))
    assert [found["kind"] for found in applied] == ["Pod", "ConfigMap", "Namespace"]
    assert vcluster_module.get("pods", namespace="shop")[0]["metadata"]["name"] == "web"


def test_applying_again_changes_what_differs_and_nothing_else(vcluster_module):
    (first,) = vcluster_module.apply(config_map("again", a="1", b="2"))
    (same,) = vcluster_module.apply(config_map("again", a="1", b="2"))
    assert same["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    (changed,) = vcluster_module.apply(config_map("again", a="3"))
    assert changed["data"] == {"a": "3"}
    assert {field["manager"] for field in changed["metadata"]["managedFields"]} == {"pytest-vcluster"}
    changed["data"] = {"a": "4"}
    assert vcluster_module.apply(changed)[0]["data"] == {"a": "4"}


def test_fields_of_others_are_taken_over(vcluster_module):
    text = yaml.safe_dump(config_map("theirs", a="1"))
    vcluster_module.kubectl("apply", "--server-side", "--field-manager", "other", "-f", "-", input=text)
    assert vcluster_module.apply(config_map("theirs", a="2"))[0]["data"] == {"a": "2"}


def test_a_list_of_things_of_all_sorts(vcluster_module, tmp_path):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(config_map("sort-1")))
    items = {"apiVersion": "v1", "kind": "List", "items": [config_map("sort-2"), config_map("sort-3")]}
    applied = vcluster_module.apply([tmp_path / "one.yaml", items, yaml.safe_dump(config_map("sort-4"))])
    assert [found["metadata"]["name"] for found in applied] == [f"sort-{number}" for number in range(1, 5)]


def test_objects_are_found_by_kubectls_words(vcluster_module):
    vcluster_module.apply([namespace("words"), config_map("x", "words")])
    for word in ("cm", "configmap", "ConfigMap", "configmaps"):
        assert vcluster_module.get(word, "x", "words")["kind"] == "ConfigMap"
    assert [found["kind"] for found in vcluster_module.get("deployments.apps")] == []
    everywhere = vcluster_module.get("cm", namespace="*")
    assert {"words", "kube-system"} <= {found["metadata"]["namespace"] for found in everywhere}
    assert all((found["apiVersion"], found["kind"]) == ("v1", "ConfigMap") for found in everywhere)
    assert vcluster_module.get("ns", "words")["status"]["phase"] == "Active"
    with pytest.raises(ApiError, match="no kind 'configmapz'; did you mean configmap"):
        vcluster_module.get("configmapz")


def test_objects_are_found_by_label(vcluster_module):
    labelled = config_map("labelled")
    labelled["metadata"]["labels"] = {"colour": "red"}
    vcluster_module.apply([labelled, config_map("plain")])
    assert [found["metadata"]["name"] for found in vcluster_module.get("cm", selector="colour=red")] == ["labelled"]


def test_deletion_waits_until_things_are_gone(vcluster_module):
    vcluster_module.apply([namespace("going"), config_map("a", "going")])
    vcluster_module.delete("ns/going")
    with pytest.raises(ApiError):
        vcluster_module.get("ns", "going")
    vcluster_module.delete("ns/going")


def test_deletion_that_is_held_up_tells_by_what(vcluster_module):
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    vcluster_module.apply(held)
    with pytest.raises(Timeout, match="being deleted since .*, held by finalizers example.com/hold"):
        vcluster_module.delete("cm/held", timeout=2)
    vcluster_module.delete("cm/held", wait=False)
    vcluster_module.apply(config_map("held"))
    vcluster_module.wait("cm/held", "delete")


def test_deleting_manifests_takes_all_of_them_back(vcluster_module):
    given = [definition("pipes"), namespace("plumbing"), custom("Pipe", "a", size=1), config_map("b", "plumbing")]
    vcluster_module.apply(given)
    vcluster_module.delete(given)
    assert "plumbing" not in {found["metadata"]["name"] for found in vcluster_module.get("ns")}
    with pytest.raises(ApiError, match="404|no kind 'pipes'"):
        vcluster_module.get("pipes")
    vcluster_module.delete(given)
