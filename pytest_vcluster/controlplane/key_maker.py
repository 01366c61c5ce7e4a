"""The key material of control planes, made by a process of its own where one was begun.

Cryptography takes as long to import as etcd to start, so the run service has it imported by another process, on another
core, while it imports itself. The one rule: it makes no difference where keys are made. Without such a process, or when
it has died, they are made right here.

The process gets a line of JSON for every control plane and answers with one; it ends when its input does, which is when
whoever began it ends.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

from pytest_vcluster.controlplane.keys import KeyMaterial, KeyPair, SigningKey

_ANSWER_SECONDS = 10.0


class KeyMaker:
    """The process; used by one thread at a time."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._lock = threading.Lock()

    def make(self, name: str, hosts: Sequence[str]) -> KeyMaterial:
        """Have the keys made; OSError or ValueError if the process is of no use any more."""
        requests, answers = self._popen.stdin, self._popen.stdout
        assert requests is not None
        assert answers is not None
        with self._lock:
            os.write(requests.fileno(), json.dumps({"name": name, "hosts": list(hosts)}).encode() + b"\n")
            if not select.select([answers], [], [], _ANSWER_SECONDS)[0]:
                raise TimeoutError
            return _from_json(json.loads(answers.readline()))

    def end(self) -> None:
        """End the process; harmless if it has ended."""
        with self._popen:
            self._popen.kill()


_maker: KeyMaker | None = None


def begin() -> int:
    """Start the process that makes all keys for this one from now on; returns its id."""
    global _maker  # noqa: PLW0603 - as there is one module that makes keys
    _maker = KeyMaker()
    return _maker.pid


def end() -> None:
    """Make keys in this process from now on."""
    global _maker
    maker, _maker = _maker, None
    if maker is not None:
        maker.end()


def make(name: str, hosts: Sequence[str]) -> KeyMaterial:
    """Make the keys of the control plane `name` that is reached under `hosts`; blocks."""
    if _maker is not None:
        try:
            return _maker.make(name, hosts)
        except (OSError, ValueError):
            # Killed, perhaps in the middle of an answer: what else it may have said belongs to nothing.
            end()
    return make_here(name, hosts)


def make_here(name: str, hosts: Sequence[str]) -> KeyMaterial:
    """Make keys in this process."""
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
        "kubelet": kubelets.server("kubelet", hosts=hosts),
        "kubelet-client": kubelets.client("kube-apiserver-kubelet-client"),
        "admin": clients.client("kubernetes-admin", ["system:masters"]),
    }
    return KeyMaterial(pairs=pairs, signing=new_signing_key())


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    make_here("nobody", ["localhost"])  # the first ones take longest
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
    serve(sys.stdin.buffer, sys.stdout.buffer)
