import os
import signal
import subprocess
import sys
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pytest_vcluster.controlplane import key_maker
from pytest_vcluster.service.reaper import started

AUTHORITIES = {"client-ca", "server-ca", "front-proxy-ca", "kubelet-ca"}
NAMES = AUTHORITIES | {"apiserver", "front-proxy-client", "kubelet", "kubelet-client", "admin", "controller-manager"}


@pytest.fixture
def maker():
    begun = key_maker.KeyMaker()
    yield begun
    begun.end()


def check(material, *, name):
    """All there is, and each certificate is signed by the authority that it should be signed by."""
    assert set(material.pairs) == NAMES
    loaded = {file: x509.load_pem_x509_certificate(pair.certificate.encode()) for file, pair in material.pairs.items()}
    assert loaded["server-ca"].subject.rfc4514_string() == f"CN={name}-servers"
    loaded["apiserver"].verify_directly_issued_by(loaded["server-ca"])
    loaded["front-proxy-client"].verify_directly_issued_by(loaded["front-proxy-ca"])
    for client in ("admin", "controller-manager"):
        loaded[client].verify_directly_issued_by(loaded["client-ca"])
    # A user's certificate is none that a kubelet would take, however the user is called.
    for ours in ("kubelet", "kubelet-client"):
        loaded[ours].verify_directly_issued_by(loaded["kubelet-ca"])
    for server in ("apiserver", "kubelet"):
        names = loaded[server].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(found) for found in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.9"]
    for file, pair in material.pairs.items():
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
        assert key.public_key() == loaded[file].public_key()
    signing = serialization.load_pem_private_key(material.signing.private.encode(), password=None)
    assert signing.public_key() == serialization.load_pem_public_key(material.signing.public.encode())


def test_keys_are_made_here_without_a_process():
    check(key_maker.make_here("here", ["localhost", "127.0.0.9"]), name="here")


def test_a_process_makes_the_same(maker):
    first, second = (maker.make(name, ["localhost", "127.0.0.9"]) for name in ("one", "two"))
    check(first, name="one")
    check(second, name="two")
    assert {pair.key for pair in first.pairs.values()}.isdisjoint(pair.key for pair in second.pairs.values())


def test_a_process_that_was_killed_is_not_missed(maker):
    os.kill(maker.pid, signal.SIGKILL)
    check(maker.make("one", ["localhost", "127.0.0.9"]), name="one")
    check(maker.make("two", ["localhost", "127.0.0.9"]), name="two")


def test_the_process_ends_when_the_one_that_began_it_is_killed():
    imported = "import time; from pytest_vcluster.controlplane.key_maker import KeyMaker"
    code = f"{imported}; maker = KeyMaker(); print(maker.pid, flush=True); time.sleep(999)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as popen:
        helper = int(popen.stdout.readline())
        assert os.getpgid(helper) == helper
        popen.kill()
    deadline = time.monotonic() + 20
    while started(helper):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def test_the_process_is_begun_without_cryptography():
    code = "import sys, pytest_vcluster.controlplane.key_maker; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"cryptography", "asyncio", "pathlib", "http"}.isdisjoint(modules)
