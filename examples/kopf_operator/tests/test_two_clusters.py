"""More than one cluster in a test."""

from conftest import operator_running

CRD = "crd/webapps.yaml"


def test_apps_of_the_same_name_in_two_clusters(vcluster_factory, webapp):
    with vcluster_factory(crds=CRD) as blue, vcluster_factory(crds=CRD) as green:
        for cluster, spec in (blue, {"replicas": 1, "priority": 1}), (green, {"replicas": 2, "priority": 2}):
            with operator_running(cluster):
                cluster.apply(webapp(**spec))
                cluster.wait("webapp/shop", f"jsonpath={{.status.readyReplicas}}={spec['replicas']}")

        assert blue.get("PriorityClass", "default-shop")["value"] == 1
        assert green.get("PriorityClass", "default-shop")["value"] == 2
        assert len(blue.get("Pod")) == 1
        assert len(green.get("Pod")) == 2
