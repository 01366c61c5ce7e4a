"""The operator in kopf's own runner, as suites that are there already have it: `vcluster.use()` is all they need."""

import kopf
import pytest
import webapp_operator
from kopf.testing import KopfRunner


@pytest.mark.vcluster(crds="crd/webapps.yaml")
def test_an_app_under_kopf_runner(vcluster, webapp):
    command = ["run", "--all-namespaces", "--standalone", webapp_operator.__file__]
    with vcluster.use(), KopfRunner(command, registry=kopf.OperatorRegistry(), timeout=30) as runner:
        vcluster.apply(webapp())
        vcluster.wait("webapp/shop", "condition=Available")

    assert runner.exit_code == 0
