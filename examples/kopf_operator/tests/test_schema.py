"""What a WebApp looked like in the first release, and what it looks like today.

Both definitions have the same name: a cluster can hold one of them at a time. Here both are tested at the same time.
"""

import pytest

from pytest_vcluster import KubectlError

TODAY = pytest.mark.vcluster(crds="crd/webapps.yaml")
FIRST_RELEASE = pytest.mark.vcluster(crds="crd/v1alpha1/webapps.yaml")


def shop(version, replicas):
    return f"""
        apiVersion: example.org/{version}
        kind: WebApp
        metadata: {{name: shop}}
        spec: {{image: "shop:1.0", replicas: {replicas}}}
    """


@TODAY
def test_today_replicas_is_a_number(vcluster):
    with pytest.raises(KubectlError, match=r"spec\.replicas: Invalid value"):
        vcluster.kubectl("create", "-f", "-", input=shop("v1", '"3"'))

    vcluster.kubectl("create", "-f", "-", input=shop("v1", 3))
    spec = vcluster.get("WebApp", "shop")["spec"]
    assert spec == {"image": "shop:1.0", "replicas": 3, "port": 8080, "priority": 0}


@FIRST_RELEASE
def test_in_the_first_release_replicas_was_a_text(vcluster):
    with pytest.raises(KubectlError, match=r"spec\.replicas: Invalid value"):
        vcluster.kubectl("create", "-f", "-", input=shop("v1alpha1", 3))

    vcluster.kubectl("create", "-f", "-", input=shop("v1alpha1", '"3"'))
    spec = vcluster.get("WebApp", "shop")["spec"]
    assert spec == {"image": "shop:1.0", "replicas": "3"}
