"""Images of a pod: asked for once per version, and again when they could not be had."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_vcluster.errors import HostError
from pytest_vcluster.hosts.in_cluster.backplane import PodBackplane
from pytest_vcluster.settings import Settings


def test_images_are_loaded_once_and_again_after_a_failure():
    async def main():
        asked = []

        async def have_images(images):
            asked.append(tuple(images))
            if len(asked) == 1:
                raise HostError("docker was away")

        host = SimpleNamespace(have_images=have_images)
        backplane = PodBackplane(Settings(), Path("/d"), host=host, run="r", lease="l", tools=None)
        making = SimpleNamespace(version="v1.36.4", images=lambda: ["etcd:1"])
        with pytest.raises(HostError):
            await backplane._have_images(making)
        await backplane._have_images(making)
        await backplane._have_images(making)
        assert asked == [("etcd:1",)] * 2

    asyncio.run(main())
