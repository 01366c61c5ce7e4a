"""The official client, typed and dynamic."""

from kubernetes import client, dynamic


def test_typed(vcluster):
    core = client.CoreV1Api(vcluster.api_client())

    core.create_namespaced_config_map(
        "default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="settings"), data={"colour": "blue"})
    )

    assert core.read_namespaced_config_map("settings", "default").data == {"colour": "blue"}


def test_dynamic(vcluster):
    config_maps = dynamic.DynamicClient(vcluster.api_client()).resources.get(api_version="v1", kind="ConfigMap")

    config_maps.create(namespace="default", body={"metadata": {"name": "settings"}, "data": {"colour": "blue"}})

    assert config_maps.get(namespace="default", name="settings").data.colour == "blue"
