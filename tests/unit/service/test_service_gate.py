import asyncio
import contextlib
import errno
import os
import socket
import time
from asyncio import selector_events

import pytest

from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.service.gate import open_gate


async def echoing():
    async def echo(reader, writer):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[:2]


async def dial(gate):
    return await asyncio.open_connection(*gate.address)


def test_many_bytes_pass_both_ways_unchanged_and_half_closing_works():
    async def main():
        server, backend = await echoing()
        gate = await open_gate(backend, at=backend[0], used_ports=set())
        reader, writer = await dial(gate)
        sent = os.urandom(1 << 20) * 24

        async def send():
            writer.write(sent)
            await writer.drain()
            writer.write_eof()

        _, received = await asyncio.gather(send(), reader.read())
        assert received == sent
        writer.close()
        gate.close()
        server.close()

    asyncio.run(main())


def test_a_slow_reader_holds_the_sender_back():
    async def main():
        received = 0
        go = asyncio.Event()

        async def slow(reader, writer):
            nonlocal received
            await go.wait()
            while data := await reader.read(1 << 18):
                received += len(data)
            writer.close()

        server = await asyncio.start_server(slow, "127.0.0.1", 0, limit=1 << 16)
        gate = await open_gate(server.sockets[0].getsockname()[:2], at="127.0.0.1", used_ports=set())
        _, writer = await dial(gate)
        piece, sent = b"x" * (1 << 20), 0
        while True:
            writer.write(piece)
            sent += len(piece)
            try:
                await asyncio.wait_for(writer.drain(), 0.3)
            except TimeoutError:
                break
            assert sent < 256 << 20, "nobody holds the sender back"
        go.set()
        await writer.drain()
        writer.write_eof()
        deadline = time.monotonic() + 60
        while received < sent:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        writer.close()
        gate.close()
        server.close()

    asyncio.run(main())


def test_closing_cuts_all_connections_and_stops_listening():
    async def main():
        server, backend = await echoing()
        gate = await open_gate(backend, at=backend[0], used_ports=set())
        connections = [await dial(gate) for _ in range(20)]
        for reader, writer in connections:
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        gate.close()
        for reader, writer in connections:
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            writer.close()
        with pytest.raises(ConnectionRefusedError):
            await dial(gate)
        server.close()

    asyncio.run(main())


def test_a_backend_that_is_gone_ends_the_connection():
    async def main():
        server, backend = await echoing()
        server.close()
        await server.wait_closed()
        gate = await open_gate(backend, at=backend[0], used_ports=set())
        reader, writer = await dial(gate)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read(1) == b""
        writer.close()
        gate.close()

    asyncio.run(main())


def test_small_messages_are_not_held_back_on_either_side():
    async def main():
        server, backend = await echoing()
        gate = await open_gate(backend, at=backend[0], used_ports=set())
        reader, writer = await dial(gate)
        writer.write(b"x")
        await reader.readexactly(1)
        sockets = [end.transport.get_extra_info("socket") for end in gate._ends]
        assert len(sockets) == 2
        assert all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets)
        writer.close()
        gate.close()
        server.close()

    asyncio.run(main())


def test_what_is_sent_before_the_backend_is_there_waits_on_every_python(monkeypatch):
    def add_reader_as_python_3_11_2_does(transport, fd, callback):
        if not transport.is_closing():
            transport._loop._add_reader(fd, callback)

    monkeypatch.setattr(selector_events._SelectorTransport, "_add_reader", add_reader_as_python_3_11_2_does)

    async def main():
        server, backend = await echoing()
        gate = await open_gate(backend, at=backend[0], used_ports=set())
        loop = asyncio.get_running_loop()
        dial_backend = loop.create_connection

        async def dial_late(*to, **options):
            await asyncio.sleep(0.1)  # what this is about
            return await dial_backend(*to, **options)

        reader, writer = await dial(gate)
        monkeypatch.setattr(loop, "create_connection", dial_late)
        writer.write(b"early")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 60) == b"early"
        writer.close()
        gate.close()
        server.close()

    asyncio.run(main())


def test_a_port_is_never_used_twice_on_an_address():
    offered = iter([5001, 5001, 5002])

    class Offered(socket.socket):
        def bind(self, address):
            super().bind(("127.0.0.1", 0))
            self.port = next(offered)

        def getsockname(self):
            return "127.0.0.1", self.port

    async def main():
        used = set()
        for expected in (5001, 5002):
            gate = await open_gate(("127.0.0.1", 1), at="127.0.0.1", used_ports=used, make_socket=Offered)
            assert gate.address == ("127.0.0.1", expected)
            gate.close()
        assert used == {5001, 5002}

    asyncio.run(main())


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.EMFILE])
def test_an_exhausted_port_range_is_told(number):
    class Exhausted(socket.socket):
        def bind(self, address):
            raise OSError(number, os.strerror(number))

    with pytest.raises(ProvisionError) as raised:
        asyncio.run(open_gate(("127.0.0.1", 1), at="127.0.0.1", used_ports=set(), make_socket=Exhausted))
    assert os.strerror(number) in str(raised.value)
    assert "ip_local_port_range" in str(raised.value)
    assert "--vcluster-pool" in str(raised.value)
