import socket

import pytest
import trio

from sbc.transport.sockets import ListenFailed
from tests.transport.edge import OPTIONS, Edge, network


async def test_listeners_are_opened_all_or_none() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        edge = Edge((network("lan"), network("public", port=port)))
        with pytest.raises(ListenFailed, match=rf"udp 127\.0\.0\.1:{port} of network 'public'"):
            edge.transports.open()
        with pytest.raises(LookupError):
            edge.address("lan")


async def test_an_address_that_is_not_ours_is_explained() -> None:
    edge = Edge((network(host="192.0.2.1"),))
    with pytest.raises(ListenFailed, match="this host has no such address"):
        edge.transports.open()


async def test_opening_before_running_keeps_the_sockets(nursery: trio.Nursery) -> None:
    edge = Edge((network(),))
    edge.transports.open()
    address = edge.address()
    await nursery.start(edge.transports.run)
    assert edge.address() == address
    nursery.cancel_scope.cancel()


async def test_stopping_closes_every_socket() -> None:
    edge = Edge((network(), network("lan", "tcp")))
    async with trio.open_nursery() as nursery:
        await nursery.start(edge.transports.run)
        address, lan = edge.address(), edge.address("lan")
        async with await trio.open_tcp_stream(*lan) as phone:
            await phone.send_all(OPTIONS)
            await edge.until(lambda: len(edge.messages) == 1)
            nursery.cancel_scope.cancel()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)
    with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(lan)
