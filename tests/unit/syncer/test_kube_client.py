import asyncio
import contextlib

import pytest
from fake_api import FakeApi, answering, status, streaming
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import NotFound, TooManyRequests, Unreachable
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import PODS

LIST = requests.list_page(PODS)
WATCH = requests.watch(PODS, revision="1", seconds=1)


def tried(scenario, *faults, timeout=20.0, watch=False):
    async def main():
        async with FakeApi.open() as api, Client.open(api.server, timeout=timeout) as client:
            api.fail("GET", "pods", *faults, watch=watch)
            return await scenario(client)

    return asyncio.run(main())


async def hangs(_request):
    await asyncio.sleep(60)


async def cut(request):
    request.transport.abort()


async def lines(client, silence=20.0):
    async with client.stream(WATCH, silence=silence) as stream:
        return [line async for line in stream]


def test_a_refusal_is_an_error_of_its_type():
    with pytest.raises(NotFound, match="GET /api/v1/pods: pods"):
        tried(lambda client: client.send_list(LIST), answering(404, "NotFound", "pods"))


@pytest.mark.parametrize("fault", [hangs, cut])
def test_errors_of_the_http_library_are_not_leaked(fault):
    # A request that only reads is sent a second time by the library if its connection was a used one.
    with pytest.raises(Unreachable, match="GET /api/v1/pods"):
        tried(lambda client: client.send_list(LIST), fault, fault, timeout=0.2)


def test_a_server_that_is_not_there_is_unreachable():
    async def main():
        async with Client.open(Server(url="http://127.0.0.1:1")) as client:
            await client.send(LIST)

    with pytest.raises(Unreachable, match="Connect"):
        asyncio.run(main())


def test_the_environments_proxy_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert tried(lambda client: client.send_list(LIST)).items == ()


def test_a_stream_yields_whole_lines():
    assert tried(lines, streaming(b"one\ntw", b"o\nthr"), watch=True) == [b"one", b"two"]


def test_a_stream_that_is_refused_is_an_error_of_its_type():
    with pytest.raises(TooManyRequests):
        tried(lines, answering(429, "TooManyRequests"), watch=True)


def test_a_stream_that_falls_silent_is_unreachable():
    with pytest.raises(Unreachable, match="no answer in time"):
        tried(lambda client: lines(client, silence=0.2), streaming(b"one\n", then=hangs), watch=True)


def test_a_stream_that_is_cut_is_unreachable():
    with pytest.raises(Unreachable):
        tried(lines, streaming(b"one\n", then=cut), watch=True)


def test_after_a_request_without_an_answer_new_connections_are_made():
    async def main():
        ports = []

        async def noted(request):
            ports.append(request.transport.get_extra_info("peername")[1])
            return status(404, "NotFound")

        async def noted_and_hangs(request):
            await noted(request)
            await hangs(request)

        async with FakeApi.open() as api, Client.open(api.server, timeout=1.0) as client:
            api.fail("GET", "pods", noted, noted, noted_and_hangs, noted)
            for _ in range(4):
                with contextlib.suppress(NotFound, Unreachable):
                    await client.send(LIST)
            assert ports[0] == ports[1] == ports[2] != ports[3]

    asyncio.run(main())


def test_a_stream_that_does_not_begin_is_unreachable():
    with pytest.raises(Unreachable, match="no answer in time"):
        tried(lambda client: lines(client, silence=30), hangs, timeout=0.2, watch=True)
