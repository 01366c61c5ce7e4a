"""Pods that the host would misunderstand."""

from typing import Any

import pytest
from syncer_worlds import Worlds, pod, tenant
from vcluster_syncer.model import PODS, CreateHost, Key, Refuse

WEB = Key("default", "web")
CLAIMS = [{"name": "gpu", "resourceClaimName": "mine"}]


def projecting(source: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "trust", "projected": {"sources": [source]}}]


BUNDLE = {"clusterTrustBundle": {"name": "ca", "path": "ca.pem"}}
CERTIFICATE = {"podCertificate": {"signerName": "example.com/x", "keyType": "ED25519"}}


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"volumes": projecting(BUNDLE)}, "clusterTrustBundle"),
        ({"volumes": projecting(CERTIFICATE)}, "podCertificate"),
        (
            {"resourceClaims": CLAIMS},
            "gpu): resource claims are not carried to the host, the syncer's switch to_host.resource_claims is off",
        ),
    ],
)
def test_what_the_host_has_of_its_own_is_not_given_to_a_pod(spec: dict[str, Any], word: str) -> None:
    worlds = Worlds(tenant(private_nodes=False))
    pod(worlds, **spec)
    (refused,) = worlds.look(PODS, WEB)
    assert isinstance(refused, Refuse)
    assert word in refused.message


@pytest.mark.parametrize("source", [BUNDLE, CERTIFICATE])
def test_where_nothing_runs_nothing_is_mounted(source: dict[str, Any]) -> None:
    worlds = Worlds()
    pod(worlds, volumes=projecting(source))
    (created,) = worlds.look(PODS, WEB)
    assert isinstance(created, CreateHost)
