import asyncio
import contextlib
import errno

import pytest

from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.service.gate import open_gate


@contextlib.asynccontextmanager
async def echo_server():
    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()


def through(url):
    host, port = url.removeprefix("https://").split(":")
    return asyncio.open_connection(host, int(port))


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario, 20))


def test_bytes_pass_both_ways_and_half_closing_works():
    async def scenario():
        async with echo_server() as backend:
            gate = await open_gate(backend)
            reader, writer = await through(gate.url)
            sent = bytes(range(256)) * 40_000
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == sent
            writer.close()
            gate.close()

    run(scenario())


def test_closing_cuts_connections_and_refuses_new_ones():
    async def scenario():
        async with echo_server() as backend:
            gate = await open_gate(backend)
            reader, writer = await through(gate.url)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            gate.close()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            with pytest.raises(OSError):
                await through(gate.url)
            writer.close()

    run(scenario())


def test_two_gates_to_one_cluster_have_different_ports():
    async def scenario():
        async with echo_server() as backend:
            gates = [await open_gate(backend) for _ in range(20)]
            assert len({gate.url for gate in gates}) == 20
            for gate in gates:
                gate.close()

    run(scenario())


def test_a_dead_backend_is_a_connection_error_at_the_client():
    async def scenario():
        async with echo_server() as backend:
            pass
        gate = await open_gate(backend)
        reader, writer = await through(gate.url)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        gate.close()

    run(scenario())


@pytest.mark.parametrize("code", [errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENOBUFS])
def test_an_exhausted_port_range_is_one_clear_error(monkeypatch, code):
    async def scenario():
        async def refuse(*_args, **_kwargs):
            raise OSError(code, "no more ports")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse)
        with pytest.raises(ProvisionError, match="No port for a lease.*"):
            await open_gate(("127.0.0.1", 1))

    run(scenario())
