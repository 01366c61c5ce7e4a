"""What becomes of WebApps while the operator is away, and when it comes back."""

import pytest
from conftest import operator_running

pytestmark = pytest.mark.vcluster(crds="crd/webapps.yaml")


def test_an_app_outlives_its_deletion_until_the_operator_has_cleaned_up(vcluster, webapp):
    with operator_running(vcluster):
        vcluster.apply(webapp())
        vcluster.wait("webapp/shop", "condition=Available")

    vcluster.delete("webapp/shop", wait=False)
    shop = vcluster.get("WebApp", "shop")
    assert shop["metadata"]["finalizers"] == ["example.org/webapp"]
    assert "deletionTimestamp" in shop["metadata"]
    assert vcluster.get("PriorityClass", "default-shop")

    with operator_running(vcluster):
        vcluster.wait("webapp/shop", "delete")
    assert "default-shop" not in [each["metadata"]["name"] for each in vcluster.get("PriorityClass")]


def test_the_operator_catches_up_with_what_it_missed(vcluster, webapp):
    with operator_running(vcluster):
        vcluster.apply(webapp())
        vcluster.wait("webapp/shop", "condition=Available")

    vcluster.apply(webapp(replicas=3))
    vcluster.delete("service/shop")

    with operator_running(vcluster):
        vcluster.wait("webapp/shop", "jsonpath={.status.readyReplicas}=3")
        vcluster.wait("service/shop", "create")
