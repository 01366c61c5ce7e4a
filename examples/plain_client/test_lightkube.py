"""lightkube: the kubeconfig as an object."""

import pytest
from lightkube import Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap


@pytest.fixture
def lightkube(vcluster):
    client = Client(config=KubeConfig.from_file(vcluster.kubeconfig))
    yield client
    client.close()


def test_create_and_read(lightkube):
    lightkube.create(ConfigMap(metadata=ObjectMeta(name="settings"), data={"colour": "blue"}))

    assert lightkube.get(ConfigMap, "settings").data == {"colour": "blue"}
