"""The handle's ways into pods: logs, commands, ports.

The one rule: everything goes through the cluster's own API server, as any client's requests do, so its rights and its
admission apply.
"""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_vcluster.cluster.api import Api
    from pytest_vcluster.cluster.guard import Guard


class InPods(ABC):
    """Logs, commands and ports of pods.

    A pod is given by its name, as `"deployment/web"` or `"service/web"` (then it is one of its pods, a ready one if
    there is one), or as an object. One that has not been started yet is waited for.
    """

    _guarded: Guard

    @property
    @abstractmethod
    def api(self) -> Api:
        """The API server as this plugin itself talks to it."""

    @abstractmethod
    def _seconds(self, timeout: float | None) -> float:
        """How long a call may take."""

    def logs(
        self,
        pod: str | Mapping[str, Any],
        *,
        namespace: str | None = None,
        container: str | None = None,
        previous: bool = False,
        tail: int | None = None,
        since: float | datetime | None = None,
        timestamps: bool = False,
        timeout: float | None = None,
    ) -> str:
        """What a container has printed so far.

        `container` may be left out where there is only one. `tail` is a number of lines, `since` a number of seconds or
        a time with a time zone; `previous` is for the container before its last restart. To follow a log use
        `kubectl` or a client. On simulated nodes the log is one line that says so.
        """
        from pytest_vcluster.cluster import pods  # noqa: PLC0415 - start-up time

        query = {
            "container": container,
            "previous": "true" if previous else None,
            "timestamps": "true" if timestamps else None,
            "tailLines": None if tail is None else str(tail),
            "sinceTime": since.isoformat() if isinstance(since, datetime) else None,
            # Whole seconds are all that can be asked for; what is older by a fraction does no harm.
            "sinceSeconds": str(max(1, math.ceil(since))) if isinstance(since, int | float) else None,
        }
        with self._guarded():
            found, _ = pods.find(self.api, pod, namespace=namespace, timeout=self._seconds(timeout))
            given = {name: value for name, value in query.items() if value is not None}
            return self.api.rest.text(pods.path_of(found, "log"), query=given, timeout=self._seconds(timeout))

    def exec(
        self,
        pod: str | Mapping[str, Any],
        *command: str,
        namespace: str | None = None,
        container: str | None = None,
        input: str | bytes | None = None,  # noqa: A002 - as in subprocess
        check: bool = True,
        timeout: float | None = None,
    ) -> str:
        """Run a command in a container and return what it prints to its standard output.

        `input` is its standard input. It fails with CommandError, which has `returncode`, `stdout` and `stderr`; with
        `check=False` what it printed is returned however it ended. Pods of simulated nodes have no containers: there
        the command is run on this machine, in an empty folder and without the right to change anything, where the
        system can see to that (Linux 6.12), and is NotAvailableOnHost elsewhere.
        """
        from pytest_vcluster.cluster import commands, pods  # noqa: PLC0415 - start-up time

        if not command:
            raise ValueError("exec() needs a command: vcluster.exec('web-0', 'cat', '/etc/hostname')")
        seconds = self._seconds(timeout)
        with self._guarded():
            found, _ = pods.find(self.api, pod, namespace=namespace, timeout=seconds)
            return commands.run(
                self.api, found, command, container=container, input=input, check=check, timeout=seconds
            )

    @contextlib.contextmanager
    def port_forward(
        self,
        ref: str | Mapping[str, Any],
        port: int | str,
        *,
        namespace: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[int]:
        """A port of 127.0.0.1 that leads to a pod's, and answers already: `with vcluster.port_forward("pod/web", 80)`.

        For a Service `port` is the Service's; it may be a name. Raises Timeout with the pod's last refusal. Nothing
        listens in pods of simulated nodes: there a line that says so is the answer, as HTTP.
        """
        from pytest_vcluster.cluster import forwarding, pods  # noqa: PLC0415 - start-up time

        seconds = self._seconds(timeout)
        with contextlib.ExitStack() as stack:
            with self._guarded():
                pod, named = pods.find(self.api, ref, namespace=namespace, timeout=seconds)
                wanted = pods.port_of(named, pod, port)
                local = stack.enter_context(forwarding.forwarded(self.api, pod, wanted, timeout=seconds))
            yield local
