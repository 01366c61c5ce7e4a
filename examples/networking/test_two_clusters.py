"""Two clusters, side by side on the same nodes."""

import pytest

from pytest_vcluster import CommandError

pytestmark = pytest.mark.vcluster(containers=True)


def test_names_of_one_cluster_are_not_those_of_the_other(vcluster, vcluster_factory):
    with vcluster_factory() as other:
        for each, word in ((vcluster, "here"), (other, "there")):
            each.apply(["manifests/client.yaml", "manifests/web.yaml"])
            each.kubectl("create", "service", "clusterip", f"only-{word}", "--tcp=80")
            each.wait("pod/client", "Ready")

        def known(each, name):
            try:
                each.exec("client", "nslookup", "-type=a", f"{name}.default.svc.cluster.local")
            except CommandError:
                return False
            return True

        assert known(vcluster, "only-here") and not known(vcluster, "only-there")
        assert known(other, "only-there") and not known(other, "only-here")

        # the same name is another Service in each
        ours, theirs = (each.get("service", "web")["spec"]["clusterIP"] for each in (vcluster, other))
        assert ours != theirs
        assert ours not in other.exec("client", "nslookup", "-type=a", "web.default.svc.cluster.local")
