"""Which pod and port is meant, what a stream says byte by byte, and how a command ended."""

import asyncio
import contextlib
import json
import threading

import pytest

from pytest_vcluster.cluster import commands, forwarding, pods
from pytest_vcluster.cluster.rest import Rest, Unreachable
from pytest_vcluster.controlplane import streams
from pytest_vcluster.errors import ApiError, CommandError, NotAvailableOnHost, Timeout

POD = {
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "shop"},
    "spec": {"containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}]},
}


def service(*ports, **selector):
    return {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": list(ports), "selector": selector}}


class TestPorts:
    @pytest.mark.parametrize(("asked", "port"), [(80, 80), ("80", 80), ("http", 8080)])
    def test_of_a_pod(self, asked, port):
        assert pods.port_of(POD, POD, asked) == port

    @pytest.mark.parametrize(
        ("declared", "port"),
        [({"port": 1}, 1), ({"port": 1, "targetPort": 2}, 2), ({"port": 1, "targetPort": "http"}, 8080)],
    )
    def test_of_a_service(self, declared, port):
        assert pods.port_of(service({"port": 9}, declared), POD, 1) == port
        assert pods.port_of(service({**declared, "name": "one"}), POD, "one") == port

    def test_that_are_not_there_are_told(self):
        with pytest.raises(ValueError, match="Service web has no port 8080; it has: 9, 10"):
            pods.port_of(service({"port": 9}, {"port": 10}), POD, 8080)
        with pytest.raises(ValueError, match="Pod web-0 has no port called 'metrics'"):
            pods.port_of(POD, POD, "metrics")


@pytest.mark.parametrize(
    ("named", "terms"),
    [
        (service(app="web", tier="front"), ["app=web", "tier=front"]),
        (service(), []),
        ({"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "web"}}}}, ["app=web"]),
        ({"kind": "ConfigMap"}, []),
        (
            {
                "kind": "StatefulSet",
                "spec": {
                    "selector": {
                        "matchExpressions": [
                            {"key": "a", "operator": "Exists"},
                            {"key": "b", "operator": "DoesNotExist"},
                            {"key": "c", "operator": "In", "values": ["1", "2"]},
                            {"key": "d", "operator": "NotIn", "values": ["3"]},
                        ]
                    }
                },
            },
            ["a", "!b", "c in (1,2)", "d notin (3)"],
        ),
    ],
)
def test_what_selects_pods(named, terms):
    assert list(pods._terms(named)) == terms


def test_the_pod_that_is_taken_is_the_one_that_can_answer():
    def made(name, *, ready="True", phase="Running", **metadata):
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
        return {"metadata": {"name": name, **metadata}, "status": status}

    leaving, pending = made("a", deletionTimestamp="now"), made("b", ready="False", phase="Pending")
    unready, ready, other = made("c", ready="False"), made("d"), made("e")
    ranked = sorted([other, ready, unready, pending, leaving], key=pods._worth)
    assert [pod["metadata"]["name"] for pod in ranked] == ["d", "e", "c", "b", "a"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"status": "Success"}, 0),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}, 7),
        # As kwok tells it.
        ({"status": "Failure", "message": "error executing command: cmd wait: sh -c x: exit status 3"}, 3),
    ],
)
def test_how_a_command_ended(status, code):
    assert commands._exit_code(status, path="/p") == code


def test_a_command_that_was_not_run_has_no_exit_code():
    with pytest.raises(ApiError, match="executable file not found"):
        commands._exit_code({"status": "Failure", "message": "executable file not found", "code": 500}, path="/p")
    with pytest.raises(ApiError, match="the stream ended before the command did"):
        commands._exit_code(None, path="/p")
    with pytest.raises(NotAvailableOnHost, match="Linux 6.12(?s:.*)--vcluster-host kind"):
        message = 'error executing command in container: no exec found for container "main" in pod "a/b"'
        commands._exit_code({"status": "Failure", "message": message}, path="/p")


class Server:
    """An API server in a thread, as far as it opens WebSockets; `speak` is its side of the conversation."""

    def __init__(self, speak):
        self.heads = []
        self._speak = speak
        self._listening = threading.Event()

    async def _accept(self, reader, writer):
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._speak(self, reader, writer)
        writer.close()

    async def _serve(self):
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        async with server:
            self.rest = Rest(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tls=None, timeout=20)
            self._listening.set()
            await asyncio.Event().wait()

    @contextlib.contextmanager
    def running(self):
        _, cancel = streams.in_thread(self._serve, name="server")
        assert self._listening.wait(20)
        try:
            yield self
        finally:
            self.rest.close()
            cancel()

    @staticmethod
    def upgrade(writer, protocol="v5.channel.k8s.io"):
        head = f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        writer.write(head.encode())

    @staticmethod
    def frame(channel, data, *, kind=2, final=True):
        payload = (b"" if channel is None else bytes([channel])) + data
        size = len(payload)
        if size < 126:
            length = bytes([size])
        else:
            length = bytes([126]) + size.to_bytes(2, "big") if size < 65536 else bytes([127]) + size.to_bytes(8, "big")
        return bytes([(0x80 if final else 0) | kind]) + length + payload

    @staticmethod
    async def hear(reader):
        """A client's message, unmasked."""
        first, second = await reader.readexactly(2)
        assert second & 0x80
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        mask, payload = await reader.readexactly(4), await reader.readexactly(size)
        return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class Guarded:
    """An `Api` as far as commands and ports need one."""

    def __init__(self, rest):
        self.rest = rest

    def check(self):
        pass


def run(server, *command, **changes):
    options = {"container": None, "input": None, "check": True, "timeout": 20.0, **changes}
    return commands.run(Guarded(server.rest), POD, command, **options)


SUCCESS = json.dumps({"status": "Success"}).encode()


class TestCommands:
    def test_are_asked_for_word_by_word(self):
        async def speak(server, _reader, writer):
            server.upgrade(writer)
            writer.write(server.frame(1, b"out") + server.frame(2, b"err") + server.frame(3, SUCCESS))

        with Server(speak).running() as server:
            assert run(server, "echo", "a b", "&", container="main") == "out"
        (head,) = server.heads
        assert head.startswith(
            "GET /api/v1/namespaces/shop/pods/web-0/exec?container=main&command=echo&command=a+b&command=%26"
            "&stdout=true&stderr=true HTTP/1.1\r\n"
        )
        assert "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n" in head

    def test_see_all_of_their_input_and_its_end(self):
        given = bytes(range(256)) * 1000

        async def speak(server, reader, writer):
            server.upgrade(writer)
            heard = b""
            while (message := (await server.hear(reader))[1]) != b"\xff\x00":
                assert message[0] == 0
                heard += message[1:]
                # Both directions at once: nobody waits for the other.
                writer.write(server.frame(1, message[1:]))
                await writer.drain()
            assert heard == given
            writer.write(server.frame(3, SUCCESS))

        with Server(speak).running() as server:
            assert run(server, "cat", input=given) == given.decode(errors="replace")

    def test_may_print_in_pieces_and_between_pings(self):
        async def speak(server, reader, writer):
            server.upgrade(writer)
            writer.write(server.frame(1, b"a", final=False) + server.frame(None, b"ping", kind=9))
            assert await server.hear(reader) == (10, b"ping")
            writer.write(server.frame(None, b"b" * 70000, kind=0) + server.frame(1, b"") + server.frame(3, SUCCESS))

        with Server(speak).running() as server:
            assert run(server, "x") == "a" + "b" * 70000

    def test_that_fail_tell_all(self):
        failed = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "2"}]}}

        async def speak(server, _reader, writer):
            server.upgrade(writer)
            writer.write(server.frame(1, b"o") + server.frame(2, b"e") + server.frame(3, json.dumps(failed).encode()))

        with Server(speak).running() as server:
            with pytest.raises(CommandError, match=r"ls -l ended with 2:\ne") as caught:
                run(server, "ls", "-l")
            assert (caught.value.returncode, caught.value.stdout, caught.value.stderr) == (2, "o", "e")
            assert run(server, "ls", check=False) == "o"

    def test_that_are_refused_say_why(self):
        status = json.dumps({"message": 'pods "web-0" is forbidden', "reason": "Forbidden"}).encode()

        async def speak(_server, _reader, writer):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(status) + status)

        with Server(speak).running() as server, pytest.raises(ApiError, match="is forbidden") as caught:
            run(server, "x")
        assert (caught.value.status, caught.value.reason) == (403, "Forbidden")

    def test_of_a_server_that_is_away_or_ends_say_so(self):
        async def ends(_server, _reader, _writer):
            return

        with Server(ends).running() as server, pytest.raises(Unreachable):
            run(server, "x")
        with pytest.raises(Unreachable):
            run(server, "x")

    def test_that_never_end_end_with_their_deadline(self):
        async def speak(server, reader, writer):
            server.upgrade(writer)
            writer.write(server.frame(1, b"begun"))
            await reader.read()

        told = r"The command sleep 9: not within(?s:.*)Last seen: begun(?s:.*)timeout="
        with Server(speak).running() as server, pytest.raises(Timeout, match=told):
            run(server, "sleep", "9", timeout=2.0)

    def test_can_be_run_in_a_test_that_has_a_loop_of_its_own(self):
        async def speak(server, _reader, writer):
            server.upgrade(writer)
            writer.write(server.frame(1, b"out") + server.frame(3, SUCCESS))

        async def test():
            return run(server, "x")

        with Server(speak).running() as server:
            assert asyncio.run(test()) == "out"


class TestForwarding:
    PORT = (80).to_bytes(2, "little")

    def test_a_port_is_given_when_the_pod_takes_connections(self):
        tries = []

        async def speak(server, reader, writer):
            tries.append(1)
            server.upgrade(writer, "v4.channel.k8s.io")
            writer.write(server.frame(0, self.PORT) + server.frame(1, self.PORT))
            if len(tries) < 3:
                writer.write(server.frame(1, b"connection refused"))
                await reader.read()
            while (message := (await server.hear(reader))[1])[0] == 0:
                writer.write(server.frame(0, message[1:].upper()))

        async def talk(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            writer.close()

        with Server(speak).running() as server:
            with forwarding.forwarded(Guarded(server.rest), POD, 80, timeout=20) as port:
                assert len(tries) == 3
                asyncio.run(talk(port))
                asyncio.run(talk(port))
            with pytest.raises(OSError, match=r"(?i)connect"):
                asyncio.run(talk(port))
        assert "/api/v1/namespaces/shop/pods/web-0/portforward?ports=80 " in server.heads[0]

    def test_a_pod_that_takes_none_is_told_with_its_last_words(self):
        async def speak(server, reader, writer):
            server.upgrade(writer, "v4.channel.k8s.io")
            writer.write(server.frame(0, self.PORT) + server.frame(1, self.PORT) + server.frame(1, b"no listener"))
            await reader.read()

        with Server(speak).running() as server, pytest.raises(Timeout, match="Last seen: no listener"):
            forwarding.forwarded(Guarded(server.rest), POD, 80, timeout=2).__enter__()

    def test_a_refusal_of_the_server_is_raised_at_once(self):
        async def speak(_server, _reader, writer):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")

        with Server(speak).running() as server, pytest.raises(ApiError, match="404"):
            forwarding.forwarded(Guarded(server.rest), POD, 80, timeout=20).__enter__()
