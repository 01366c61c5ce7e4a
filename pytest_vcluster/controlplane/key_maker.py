"""The key material of control planes, made by a process of its own where one was begun.

Cryptography takes long to import, so the run service has it imported by another process, on another core, while it
imports itself. The one rule: it makes no difference where keys are made. Without such a process, or when
it has died, they are made right here.

The process gets a line of JSON for every control plane and answers with one; it ends when its input does, which is when
whoever began it ends.
"""

from __future__ import annotations

import gc
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER, METRICS_SERVER_NAME, KeyMaterial, KeyPair, SigningKey

_ANSWER_SECONDS = 10.0


class KeyMaker:
    """The process, and the keys it makes; one for a whole run."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-P", __file__],  # by its file, which `-m` would look for first
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._lock = threading.Lock()
        self._is_gone = False

    def make(self, name: str, hosts: Sequence[str]) -> KeyMaterial:
        """Make the keys of the control plane `name` that is reached under `hosts`; blocks."""
        with self._lock:
            if not self._is_gone:
                try:
                    return self._ask(name, hosts)
                except (OSError, ValueError):
                    # Killed, perhaps in the middle of an answer: what else it may have said belongs to nothing.
                    self.end()
        return make_here(name, hosts)

    def _ask(self, name: str, hosts: Sequence[str]) -> KeyMaterial:
        requests, answers = self._popen.stdin, self._popen.stdout
        assert requests is not None
        assert answers is not None
        os.write(requests.fileno(), json.dumps({"name": name, "hosts": list(hosts)}).encode() + b"\n")
        if not select.select([answers], [], [], _ANSWER_SECONDS)[0]:
            raise TimeoutError
        return _from_json(json.loads(answers.readline()))

    def end(self) -> None:
        """End the process, and make keys in this one from now on; harmless if it has ended."""
        self._is_gone = True
        with self._popen:
            self._popen.kill()


def make_here(name: str, hosts: Sequence[str]) -> KeyMaterial:
    """Make the keys of the control plane `name` that is reached under `hosts`, in this process; blocks."""
    from pytest_vcluster.controlplane.pki import CertificateAuthority, new_signing_key  # noqa: PLC0415 - see above

    servers = CertificateAuthority.new(f"{name}-servers")
    clients = CertificateAuthority.new(f"{name}-clients")
    front_proxy = CertificateAuthority.new(f"{name}-front-proxy")
    # Of the API server's and nobody else's: whoever had a certificate of `clients` could be a kubelet's client too.
    kubelets = CertificateAuthority.new(f"{name}-kubelets")
    pairs = {
        "apiserver": servers.server("kube-apiserver", hosts=hosts),
        "client-ca": clients.pair,
        "server-ca": servers.pair,
        "front-proxy-ca": front_proxy.pair,
        "front-proxy-client": front_proxy.client("front-proxy-client"),
        "kubelet-ca": kubelets.pair,
        "kubelet": kubelets.server("kubelet", hosts=[*hosts, METRICS_SERVER_NAME]),
        "kubelet-client": kubelets.client("kube-apiserver-kubelet-client"),
        "admin": clients.client("kubernetes-admin", ["system:masters"]),
        "controller-manager": clients.client(CONTROLLER_MANAGER, ["system:masters"]),
    }
    return KeyMaterial(pairs=pairs, signing=new_signing_key())


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    make_here("nobody", ["localhost"])  # the first ones take longest
    gc.enable()
    for line in requests:
        request = json.loads(line)
        answers.write(json.dumps(_to_json(make_here(request["name"], request["hosts"]))).encode() + b"\n")
        answers.flush()


def _to_json(material: KeyMaterial) -> dict[str, Any]:
    return {
        "pairs": {name: [pair.certificate, pair.key] for name, pair in material.pairs.items()},
        "signing": [material.signing.private, material.signing.public],
    }


def _from_json(document: dict[str, Any]) -> KeyMaterial:
    private, public = document["signing"]
    return KeyMaterial(
        pairs={name: KeyPair(certificate=pair[0], key=pair[1]) for name, pair in document["pairs"].items()},
        signing=SigningKey(private=private, public=public),
    )


if __name__ == "__main__":
    gc.disable()  # while cryptography is imported there is nothing to find
    serve(sys.stdin.buffer, sys.stdout.buffer)
