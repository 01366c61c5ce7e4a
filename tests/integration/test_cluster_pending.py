"""Why a pod is pending, as somebody is told whose test waits for it."""

import pytest
from cluster_objects import deployment

from pytest_vcluster.errors import Timeout


def test_a_wait_in_vain_and_the_evidence_tell_what_the_host_says(vcluster, tmp_path):
    unplaceable = deployment("huge")
    template = unplaceable["spec"]["template"]["spec"]
    template["nodeSelector"] = {"disk": "made-of-cheese"}
    template["containers"][0]["envFrom"] = [{"secretRef": {"name": "missing"}}]
    vcluster.apply(unplaceable)

    def told():
        with pytest.raises(Timeout) as failed:
            vcluster.wait("deployment/huge", "condition=Available", timeout=1)
        return str(failed.value)

    expected = (
        "waits for Secret default/missing, which does not exist",
        "host condition PodScheduled=False: Unschedulable: 0/",
        "host event FailedScheduling",
    )
    # How soon the host's scheduler gives up is its own business.
    for _ in range(60):
        if all(words in (message := told()) for words in expected):
            break
    for words in expected:
        assert words in message
    text = (vcluster.evidence(tmp_path / "evidence") / "pending.txt").read_text()
    assert text.startswith("Pod default/huge-")
    assert "waits for Secret default/missing, which does not exist" in text
