"""TLS without sockets: whatever comes, however it is cut, it is plain bytes or a clear failure."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.transport.endings import End, StreamFault
from sbc.transport.tls_pipe import HANDSHAKE_BYTES, Make, TlsPipe
from tests.kit.certificates import Authority, client_context, server_context
from tests.transport.edge import OPTIONS


@cache
def ends() -> tuple[Make, Make]:
    """What makes a client's and a server's side."""
    authority = Authority()
    files = authority.issue("sbc.example.com").write(Path(mkdtemp()))
    client, server = client_context(authority), server_context(files)
    return (
        client.wrap_bio,
        lambda incoming, outgoing: server.wrap_bio(incoming, outgoing, server_side=True),
    )


def pipes() -> tuple[TlsPipe, TlsPipe]:
    client, server = ends()
    return TlsPipe(client, server=False), TlsPipe(server, server=True)


def fed(pipe: TlsPipe, data: bytes, cut: Callable[[bytes], list[bytes]]) -> bool:
    """Give a pipe bytes of a handshake; whether it is done then."""
    done = False
    for piece in cut(data):
        if done:
            pipe.receive(piece)  # of a server, its tickets
        elif pipe.begin(piece):
            done = pipe.step()
    return done


def whole(data: bytes) -> list[bytes]:
    return [data] if data else []


def shaken(cut: Callable[[bytes], list[bytes]] = whole) -> tuple[TlsPipe, TlsPipe]:
    """Two pipes that have shaken hands, the bytes between them cut."""
    client, server = pipes()
    assert client.begin(b"")
    client_done, server_done = client.step(), False
    while not (client_done and server_done):
        server_done = server_done or fed(server, client.outgoing(), cut)
        client_done = client_done or fed(client, server.outgoing(), cut)
    return client, server


def exchange(client: TlsPipe, server: TlsPipe) -> None:
    assert server.receive(client.send(OPTIONS)) == OPTIONS
    client.receive(server.outgoing())
    assert client.receive(server.send(OPTIONS)) == OPTIONS


def test_what_one_side_sends_the_other_receives() -> None:
    exchange(*shaken())


@pytest.mark.parametrize("size", [1, 2, 5, 6, 100])
def test_a_handshake_does_not_depend_on_how_its_bytes_are_cut(size: int) -> None:
    exchange(*shaken(lambda data: [data[at : at + size] for at in range(0, len(data), size)]))


def test_only_whole_records_are_worth_a_step() -> None:
    client, server = pipes()
    client.begin(b"")
    client.step()
    hello = client.outgoing()
    assert [server.begin(hello[at : at + 1]) for at in range(len(hello))] == [
        *[False] * (len(hello) - 1),
        True,
    ]


def test_who_says_nothing_costs_nothing() -> None:
    def make(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        raise AssertionError("made too early")

    pipe = TlsPipe(make, server=True)
    assert not pipe.begin(b"\x16\x03\x01\x10\x00" + bytes(100))


def test_what_comes_with_the_end_of_a_handshake_is_not_lost() -> None:
    client, server = pipes()
    client.begin(b"")
    client.step()
    fed(server, client.outgoing(), whole)
    assert fed(client, server.outgoing(), whole)
    last = client.outgoing() + client.send(OPTIONS)
    assert fed(server, last, whole)
    assert server.receive(b"") == OPTIONS


@given(st.lists(st.integers(1, 60)))
def test_messages_do_not_depend_on_how_their_bytes_are_cut(sizes: list[int]) -> None:
    client, server = _shaken_once()
    data = client.send(OPTIONS) + client.send(OPTIONS)
    plain, at = b"", 0
    for size in [*sizes, len(data)]:
        plain += server.receive(data[at : at + size])
        at += size
    assert plain == OPTIONS * 2


@cache
def _shaken_once() -> tuple[TlsPipe, TlsPipe]:
    return shaken()


@given(st.binary(min_size=1, max_size=300))
def test_whatever_bytes_come_instead_of_a_handshake_it_waits_or_fails(data: bytes) -> None:
    _, server = pipes()
    with suppress(StreamFault):
        fed(server, data, whole)


@given(st.integers(0, 200), st.binary(min_size=1, max_size=8))
def test_a_changed_hello_waits_or_fails_or_goes_on(at: int, put: bytes) -> None:
    client, server = pipes()
    client.begin(b"")
    client.step()
    hello = client.outgoing()
    with suppress(StreamFault):
        fed(server, hello[:at] + put + hello[at + len(put) :], whole)


@given(st.binary(min_size=1, max_size=300))
def test_whatever_comes_after_a_handshake_is_plain_bytes_or_a_failure(data: bytes) -> None:
    _, server = shaken()
    with pytest.raises(StreamFault) as caught:
        server.receive(data + bytes(70_000))
    assert caught.value.end is End.RESET


def test_a_handshake_without_end_is_given_up() -> None:
    _, server = pipes()
    record = b"\x16\x03\x01\x40\x00" + bytes(0x4000)
    for _ in range(HANDSHAKE_BYTES // len(record)):
        server.begin(record)
    with pytest.raises(StreamFault, match="too long"):
        server.begin(record)


def test_rules_that_are_gone_are_told_in_words() -> None:
    def make(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        raise KeyError("carrier")

    with pytest.raises(StreamFault, match="no TLS for it any more"):
        TlsPipe(make, server=False).begin(b"")


def test_the_end_is_told_and_heard() -> None:
    client, server = shaken()
    client.receive(server.outgoing())
    assert server.receive(client.close()) == b""
    assert server.ended
