"""kr8s: give it the path of the kubeconfig, for it keeps its connections by that."""

import kr8s
from kr8s.objects import ConfigMap


def test_create_and_read(vcluster):
    api = kr8s.api(kubeconfig=str(vcluster.kubeconfig))

    ConfigMap({"metadata": {"name": "settings"}, "data": {"colour": "blue"}}, api=api).create()

    assert ConfigMap.get("settings", namespace="default", api=api).data == {"colour": "blue"}
