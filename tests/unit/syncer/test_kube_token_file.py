"""Credentials of a pod: a token that changes in its file, and where the API server is."""

import asyncio
import logging

import pytest
from aiohttp import web
from fake_api import FakeApi, status
from vcluster_syncer.kube import in_cluster, requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import Forbidden
from vcluster_syncer.kube.kubeconfig import KubeconfigError, Server
from vcluster_syncer.kube.token_file import TokenFile
from vcluster_syncer.model import PODS

LIST = requests.list_page(PODS)
WATCH = requests.watch(PODS, revision="1", seconds=1)
ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "POD_NAMESPACE": "clusters"}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def account(tmp_path):
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text("the authority")
    return tmp_path


def test_the_file_is_read_again_after_a_minute_and_not_before(account):
    clock = Clock()
    token = TokenFile(account / "token", clock=clock)
    (account / "token").write_text("second")
    clock.now += 59
    assert token.current() == "first"
    clock.now += 1
    assert token.current() == "second"


def test_it_is_read_at_once_when_it_is_refused(account):
    token = TokenFile(account / "token", clock=Clock())
    assert not token.refused("first")
    (account / "token").write_text("second")
    assert token.refused("first")
    assert token.current() == "second"


def test_who_was_refused_with_a_former_one_is_told_of_the_present_one_without_a_look(account):
    token = TokenFile(account / "token", clock=Clock())
    (account / "token").unlink()
    assert token.refused("one before")


def test_while_it_can_not_be_read_the_former_one_is_used(account, caplog):
    clock = Clock()
    token = TokenFile(account / "token", clock=clock)
    (account / "token").unlink()
    clock.now += 61
    with caplog.at_level(logging.WARNING):
        assert token.current() == "first"
    assert "can't be read, the former one is used" in caplog.text


class Guarded:
    """A server that lets one token in; `asked` are those that it was shown."""

    def __init__(self, let_in):
        self.let_in = let_in
        self.asked = []

    async def __call__(self, request):
        self.asked.append(request.headers.get("Authorization"))
        if self.asked[-1] != f"Bearer {self.let_in}":
            return status(401, "Unauthorized", "Unauthorized")
        return web.Response(text='{"kind": "PodList", "metadata": {}, "items": []}\n')


def asked_with(account, scenario, *, let_in, watch=False):
    """Which tokens a server sees whose client is told of `second` in its file once it has read `first`."""
    guarded = Guarded(let_in)

    async def main():
        async with FakeApi.open() as api:
            server = Server(url=api.url, token_file=TokenFile(account / "token"))
            (account / "token").write_text("second")
            api.fail("GET", "pods", *[guarded] * 9, watch=watch)
            async with Client.open(server, timeout=5) as client:
                await scenario(client)

    try:
        asyncio.run(main())
    finally:
        asked = guarded.asked
    return asked


def test_a_request_that_is_refused_is_sent_again_with_the_token_of_today(account):
    assert asked_with(account, lambda client: client.send_list(LIST), let_in="second") == [
        "Bearer first",
        "Bearer second",
    ]


def test_so_is_a_watch(account):
    async def watch(client):
        async with client.stream(WATCH, silence=5) as lines:
            assert [line async for line in lines]

    assert asked_with(account, watch, let_in="second", watch=True) == ["Bearer first", "Bearer second"]


def test_what_is_refused_with_that_one_too_is_refused(account):
    with pytest.raises(Forbidden):
        asked_with(account, lambda client: client.send_list(LIST), let_in="third")


def test_a_token_that_is_no_files_is_sent_once():
    guarded = Guarded("other")

    async def main():
        async with FakeApi.open() as api, Client.open(Server(url=api.url, token="mine"), timeout=5) as client:
            api.fail("GET", "pods", *[guarded] * 9)
            await client.send_list(LIST)

    with pytest.raises(Forbidden):
        asyncio.run(main())
    assert guarded.asked == ["Bearer mine"]


def test_a_token_is_not_shown(account):
    server = in_cluster.load(account, ENVIRONMENT)
    assert "first" not in repr(server)


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_the_server_is_where_the_environment_says(account, host, url):
    server = in_cluster.load(account, {**ENVIRONMENT, "KUBERNETES_SERVICE_HOST": host})
    assert (server.url, server.certificate_authority, server.bearer()) == (url, "the authority", "first")
    assert in_cluster.namespace(ENVIRONMENT) == "clusters"


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_what_the_environment_does_not_say_is_named(account, name):
    with pytest.raises(KubeconfigError, match=f"the variable {name} is not set"):
        in_cluster.load(account, {**ENVIRONMENT, name: ""})


@pytest.mark.parametrize("name", ["token", "ca.crt"])
def test_what_is_not_mounted_is_named(account, name):
    (account / name).unlink()
    with pytest.raises(KubeconfigError, match=f"host.in_cluster: {account / name} can't be read: No such file"):
        in_cluster.load(account, ENVIRONMENT)
