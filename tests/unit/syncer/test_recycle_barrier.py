"""Waiting for an API server's caches, which it may be busy with itself."""

import asyncio

import pytest
from vcluster_syncer.kube.errors import NotFound, ServerFailed, TooManyRequests, Unreachable
from vcluster_syncer.recycle.barrier import Barrier, NotReached, Served

SERVED = Served(documents={}, paths={"configmaps": "/api/v1/configmaps"})
BEHIND = ServerFailed("Too large resource version: 7, current: 6", status=504, retry_after=1.0)
MAKING = TooManyRequests("storage is (re)initializing", status=429, retry_after=1.0)


class Server:
    """Answers one after the other, the last one for ever; None is a list."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    async def send_list(self, request):
        self.asked.append(request.path)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is not None:
            raise answer


def wait(server, *, timeout=60.0):
    asyncio.run(Barrier(server, SERVED, timeout=timeout).caches({"configmaps": 7}))


def test_a_cache_is_asked_for_at_its_revision():
    server = Server(None)
    wait(server)
    assert server.asked == ["/api/v1/configmaps?limit=1&resourceVersionMatch=NotOlderThan&resourceVersion=7"]


def test_a_server_that_wants_to_be_asked_again_is_asked_again():
    server = Server(BEHIND, MAKING, None)
    wait(server)
    assert len(server.asked) == 3


def test_one_that_stays_behind_is_given_up():
    with pytest.raises(NotReached, match="did not catch up: Too large resource version"):
        wait(Server(BEHIND), timeout=0.05)


def test_one_that_gives_no_answer_is_given_up_at_once():
    server = Server(Unreachable("it is away"), None)
    with pytest.raises(NotReached, match="it is away"):
        wait(server)
    assert len(server.asked) == 1


def test_a_collection_that_is_gone_has_no_cache():
    wait(Server(NotFound("no such path")))
