from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kind_lives import Life, docker, remove

from pytest_vcluster.settings import Settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    """A kind host as this machine needs it: its options are in the environment, as any user's may be."""
    docker("info")
    file = os.environ.get("PYTEST_VCLUSTER_KIND_CONFIG")
    return Settings(
        host="kind",
        kind_image=os.environ.get("PYTEST_VCLUSTER_KIND_IMAGE") or None,
        kind_config=Path(file).absolute() if file else None,
    )


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short path: sockets are made below it."""
    folder = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def live(temporary: Path) -> Iterator[Callable[..., Life]]:
    """Starts runs that have a kind cluster; whatever a failed test leaves of them is removed."""
    lives: list[Life] = []

    def begin(settings: Settings, *, images: str = "") -> Life:
        lives.append(Life(temporary, settings, images=images))
        return lives[-1]

    yield begin
    for life in lives:
        life.close()
    for life in lives:
        remove(life.cluster)
