"""The handle's ways between the cluster and this machine: webhooks that the test serves, images that it built.

The one rule: where a host does not have such a way, asking for it gives one clear error at once.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.errors import NotAvailableOnHost

if TYPE_CHECKING:
    from pytest_vcluster.cluster.guard import Guard
    from pytest_vcluster.cluster.lease import Lease
    from pytest_vcluster.cluster.webhooks import WebhookClientConfig


class Outside:
    """What reaches out of the cluster, or into it."""

    lease: Lease
    _guarded: Guard
    _directory: Path
    _closing: contextlib.ExitStack

    def webhook(self, port: int) -> WebhookClientConfig:
        """What to put in a webhook configuration so that this API server calls a server in the test process.

        The server listens at 127.0.0.1:`port` with TLS, and may start before or after. The answer is the
        `clientConfig`, a dict with `url` and `caBundle`; `.at("/path")` is another path of the same server,
        `.certificate` and `.key` are the files it has to serve with, `.ssl_context()` is made of them. A server with a
        certificate of its own, for the host in `url`, works too: put its authority in the place of `caBundle`.
        """
        from pytest_vcluster.cluster import webhooks  # noqa: PLC0415 - start-up time

        with self._guarded():
            return self._closing.enter_context(webhooks.reachable(self.lease, self._directory / "webhooks", port))

    def load_image(self, ref: str, *, timeout: float = 300.0) -> None:
        """Bring an image of this machine's Docker to all nodes; one that isn't there is pulled first.

        Raises NotAvailableOnHost where nodes run no containers, or pull images themselves.
        """
        if self.lease.grant.host["kind"] != "kind":
            raise NotAvailableOnHost.of("load_image()", host=self.lease.grant.host["kind"], hosts=("kind",))
        with self._guarded():
            self.lease.load_image(ref, timeout=timeout)
