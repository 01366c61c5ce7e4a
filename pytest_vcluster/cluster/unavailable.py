"""What a virtual cluster will have, and which hosts have it.

The one rule: asking for it gives one clear error at once, whatever the arguments are.
"""

from __future__ import annotations

from typing import NoReturn

from pytest_vcluster.errors import NotAvailableOnHost

_WITH_CONTAINERS = ("kind", "existing")


class Unavailable:
    """Methods of the handle that its host does not offer."""

    @property
    def _host_kind(self) -> str:
        raise NotImplementedError

    def _missing(self, feature: str) -> NoReturn:
        raise NotAvailableOnHost.of(feature, host=self._host_kind, hosts=_WITH_CONTAINERS)

    def load_image(self, *_: object, **__: object) -> NoReturn:
        """A container image made known to the nodes: needs a host that runs containers."""
        self._missing("load_image()")

    def webhook(self, *_: object, **__: object) -> NoReturn:
        """Where the API server reaches a webhook in the test process."""
        self._missing("webhook()")
