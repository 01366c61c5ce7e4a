"""Which backplane a run gets: by the kind of host that its settings name.

The one rule: nothing of the other kinds is imported: the first test of a run waits for every import.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.controlplane import key_maker
from pytest_vcluster.controlplane.component import Starter
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.settings import Settings

if TYPE_CHECKING:
    from pytest_vcluster.hosts.backplane import EmbeddedBackplane
    from pytest_vcluster.hosts.in_cluster.backplane import PodBackplane


def opened(
    settings: Settings,
    directory: Path,
    *,
    starter: Starter,
    register: Callable[[int], None],
    progress: Callable[[str], None],
    will: Callable[[LastWill], None],
    begun: key_maker.KeyMaker | None = None,
) -> AbstractAsyncContextManager[EmbeddedBackplane | PodBackplane]:
    """Open the backplane of the host that `settings` name below `directory`, which exists and is empty.

    `register` hears of every process not started through `starter`; `progress` of everything that takes long; `will`
    of what has to be removed though it is no process of ours.
    """
    if settings.host == "embedded":
        from pytest_vcluster.hosts import opening  # noqa: PLC0415 - see above

        return opening.opened(
            settings, directory, starter=starter, register=register, progress=progress, will=will, begun=begun
        )
    from pytest_vcluster.hosts.in_cluster import opening as in_cluster  # noqa: PLC0415 - see above

    return in_cluster.opened(
        settings, directory, starter=starter, register=register, progress=progress, will=will, begun=begun
    )
