"""What the tests of this folder have in common: somebody to look from, and patience."""

import itertools
import re
import time
from urllib.parse import urlsplit

import pytest

from pytest_vcluster import CommandError


@pytest.fixture
def client(vcluster):
    """Runs a command in a pod of the cluster: `client("nslookup", "web")`; what it prints is the answer."""
    vcluster.apply("manifests/client.yaml")
    vcluster.wait("pod/client", "Ready")

    def run(*command, check=True):
        return vcluster.exec("client", *command, check=check)

    return run


@pytest.fixture
def eventually():
    """Calls a function until it raises nothing: a new Service takes a moment to reach all nodes."""

    def call(function, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            try:
                return function()
            except (AssertionError, CommandError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    return call


@pytest.fixture
def addresses(client, eventually):
    """All addresses that DNS has for a full name, sorted."""

    def look_up(name):
        words = eventually(lambda: client("nslookup", "-type=a", name)).partition("Name:")[2].split()
        return sorted(word for before, word in itertools.pairwise(words) if before == "Address:")

    return look_up


@pytest.fixture
def address(client, eventually):
    """The address that programs in a pod find for a name, which may be a short one."""

    def look_up(name):
        def ask():
            # Nobody has to answer: a Service's address doesn't.
            found = re.match(r"PING \S+ \(([0-9.]+)\)", client("ping", "-c", "1", "-W", "1", name, check=False))
            assert found, f"{name} has no address"
            return found[1]

        return eventually(ask)

    return look_up


@pytest.fixture
def fetching():
    """What a program in a container gets from a URL: `fetching(run, "http://web/hostname")`, `run` as `client` is.

    By hand, because not every busybox can fetch.
    """

    def get(run, url):
        parts = urlsplit(url)
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        request = f"printf 'GET {target} HTTP/1.0\\r\\nHost: {parts.netloc}\\r\\n\\r\\n'"
        head, _, body = run("sh", "-c", f"{request} | nc -w 2 {parts.hostname} {parts.port or 80}").partition(
            "\r\n\r\n"
        )
        assert " 200 " in head.partition("\r\n")[0], head
        return body

    return get
