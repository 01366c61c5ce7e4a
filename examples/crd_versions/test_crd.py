"""What the author of a definition wants to know of every Kubernetes version that is supported."""

import pytest

from pytest_vcluster import ApiError

pytestmark = pytest.mark.vcluster(crds="gadget.yaml")


def gadget(**spec):
    return {"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "one"}, "spec": spec}


def test_defaults_are_filled_in(vcluster):
    vcluster.apply(gadget(size=3))

    assert vcluster.get("gadget", "one")["spec"] == {"size": 3, "color": "grey"}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"size": 11}, "should be less than or equal to 10"),
        ({"color": "red"}, "spec.size: Required value"),
        ({"size": 1, "color": "invisible"}, "a gadget must be visible"),
    ],
    ids=["too big", "no size", "invisible"],
)
def test_nonsense_is_refused_with_a_reason(vcluster_module, spec, reason):
    with pytest.raises(ApiError, match=reason):
        vcluster_module.apply(gadget(**spec))
