"""Mistakes that the API server finds by the definition alone: no operator, and one cluster for all tests."""

import pytest

from pytest_vcluster import KubectlError

pytestmark = pytest.mark.vcluster(crds="crd/webapps.yaml")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param("{}", "spec.image: Required value", id="no image"),
        pytest.param('{image: ""}', "spec.image: Invalid value", id="empty image"),
        pytest.param('{image: "shop:1.0", replicas: 11}', "should be less than or equal to 10", id="too many replicas"),
        pytest.param('{image: "shop:1.0", replica: 1}', 'unknown field "spec.replica"', id="misspelt field"),
    ],
)
def test_a_mistake_is_refused(vcluster_module, spec, problem):
    manifest = f"{{apiVersion: example.org/v1, kind: WebApp, metadata: {{name: shop}}, spec: {spec}}}"

    with pytest.raises(KubectlError, match=problem):
        vcluster_module.kubectl("create", "-f", "-", input=manifest)
