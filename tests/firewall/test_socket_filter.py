"""The filter at our own sockets: what it drops, what it lets through, and for how long."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.firewall.filter_program import MOST, Source, filter_program
from sbc.firewall.socket_filter import (
    CHANGE_S,
    SocketFilter,
    attach_filter,
    datagrams_dropped,
)

Address = tuple[str, int]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def bound(stack: ExitStack, host: str, *, dual: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    sock.setblocking(False)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
    try:
        sock.bind((host, 0))
    except OSError:
        pytest.skip("no IPv6 here")
    return sock


def heard(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(100))
        except BlockingIOError:
            return found


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def test_an_ipv4_source_is_dropped_as_a_whole_or_by_its_port(stack: ExitStack) -> None:
    border = bound(stack, "127.0.0.1")
    hosts = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
    good, bad, half, other = (bound(stack, host) for host in hosts)
    half_too = bound(stack, "127.0.0.3")
    muted = [Source("127.0.0.2"), Source("127.0.0.3", port_of(half)), Source("0:0:0:0")]
    attach_filter(border, filter_program([Source("127.0.0.9", 1), *muted]))
    for number, sock in enumerate((good, bad, half, half_too, other)):
        sock.sendto(b"%d" % number, border.getsockname())
    assert heard(border) == [b"0", b"3", b"4"]
    assert datagrams_dropped(border) == 2
    attach_filter(border, None)
    bad.sendto(b"again", border.getsockname())
    assert heard(border) == [b"again"]


def test_of_ipv6_a_64_is_dropped_or_a_port_of_it(stack: ExitStack) -> None:
    border = bound(stack, "::1")
    one, two = bound(stack, "::1"), bound(stack, "::1")
    attach_filter(border, filter_program([Source("0:0:0:1"), Source("0:0:0:0", port_of(one))]))
    for sock, said in ((one, b"one"), (two, b"two")):
        sock.sendto(said, border.getsockname())
    assert heard(border) == [b"two"]
    attach_filter(border, filter_program([Source("0:0:0:0")]))
    two.sendto(b"two", border.getsockname())
    assert heard(border) == []


def test_a_socket_of_both_families_tells_them_apart(stack: ExitStack) -> None:
    border = bound(stack, "::", dual=True)
    old, new, other = (bound(stack, host) for host in ("127.0.0.1", "::1", "127.0.0.2"))
    attach_filter(border, filter_program([Source("127.0.0.1"), Source("0:0:0:0", port_of(new))]))
    old.sendto(b"old", ("127.0.0.1", port_of(border)))
    new.sendto(b"new", ("::1", port_of(border)))
    other.sendto(b"other", ("127.0.0.1", port_of(border)))
    assert heard(border) == [b"other"]


def test_the_kernel_takes_the_longest_program(stack: ExitStack) -> None:
    border, last = bound(stack, "127.0.0.1"), bound(stack, "127.0.1.1")
    sources = [Source(f"2001:db8:0:{number:x}", 5060) for number in range(MOST - 1)]
    attach_filter(border, filter_program([*sources, Source("127.0.1.1", port_of(last))]))
    last.sendto(b"x", border.getsockname())
    assert heard(border) == []


SOURCES = st.lists(
    st.builds(
        Source,
        st.one_of(
            st.integers(1, 9).map(lambda n: f"127.0.0.{n}"),
            st.integers(0, 9).map(lambda n: f"2001:db8:0:{n}"),
        ),
        st.integers(0, 3).map(lambda n: 40_000 + n if n else 0),
    ),
    max_size=12,
)


@settings(max_examples=50, deadline=None)
@given(SOURCES, st.integers(1, 9))
def test_whatever_is_muted_exactly_that_is_dropped(muted: list[Source], number: int) -> None:
    host = f"127.0.0.{number}"
    with ExitStack() as stack:
        border, sender = bound(stack, "127.0.0.1"), bound(stack, host)
        attach_filter(border, filter_program(muted))
        sender.sendto(b"x", border.getsockname())
        dropped = any(one.host == host and one.port in {0, port_of(sender)} for one in muted)
        assert heard(border) == ([] if dropped else [b"x"])


async def test_a_mute_ends_by_itself_or_when_it_is_told_to(
    stack: ExitStack, nursery: trio.Nursery, autojump_clock: object
) -> None:
    border, sender = bound(stack, "127.0.0.1"), bound(stack, "127.0.0.1")
    keeper = SocketFilter(lambda network: [border] if network == "outside" else [])
    nursery.start_soon(keeper.run)

    def says() -> list[bytes]:
        sender.sendto(b"x", border.getsockname())
        return heard(border)

    keeper.mute("outside", "127.0.0.1", 0, 3.0)
    await trio.sleep(2 * CHANGE_S)
    assert (says(), keeper.muted) == ([], 1)
    await trio.sleep(3.0 + CHANGE_S)
    assert (says(), keeper.muted) == ([b"x"], 0)
    keeper.mute("outside", "127.0.0.1", port_of(sender), 60.0)
    await trio.sleep(2 * CHANGE_S)
    assert says() == []
    keeper.release("outside", "127.0.0.1")
    keeper.release("inside", "127.0.0.1")
    await trio.sleep(2 * CHANGE_S)
    assert (says(), keeper.muted, keeper.dropped()) == ([b"x"], 0, 2)


async def test_only_so_many_are_muted_at_once() -> None:
    keeper = SocketFilter(lambda network: [])
    for number in range(2 * MOST):
        keeper.mute("outside", f"10.0.{number // 256}.{number % 256}", 0, 3.0)
    assert keeper.muted == MOST


async def test_a_kernel_that_takes_no_filter_is_told_of_and_nothing_else(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.close()
    keeper = SocketFilter(lambda network: [closed])
    nursery.start_soon(keeper.run)
    keeper.mute("outside", "192.0.2.1", 0, 3.0)
    await trio.sleep(1.0)
    assert keeper.trouble.startswith("the kernel takes no filter for the sockets: ")
    assert keeper.dropped() is None
