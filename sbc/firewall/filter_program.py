"""The program by which the kernel drops datagrams of muted sources at our own UDP sockets.

A classic BPF program, which a socket may be given without any privilege. At a UDP socket it sees
the datagram from the UDP header on, and by an offset of its own the IP header before that. It
tests one source after the other, which for a few hundred is cheaper than to wake us up once.

Spec: RFC 791 §3.1, RFC 8200 §3 (source addresses), RFC 768 (source port).
"""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

MOST: Final = 256
"""Sources that one program tests; the kernel has no room for very many more."""

_IP_HEADER: Final = 0xFFF00000
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_LOAD_MEMORY, _STORE_MEMORY = 0x60, 0x02
_AND, _JUMP_IF_EQUAL, _JUMP, _RETURN = 0x54, 0x15, 0x05, 0x06
_IPV4_SOURCE, _IPV6_SOURCE = 12, 8
_DROP, _TAKE = 0, 0xFFFFFFFF

Instruction = tuple[int, int, int, int]
"""Code, how far to jump if true and if false, and a constant."""


class Source(NamedTuple):
    """Whose datagrams are dropped."""

    host: str
    """An IPv4 address, or the first four groups of an IPv6 address: a /64."""
    port: int = 0
    """0 for all of them."""


def filter_program(sources: Iterable[Source]) -> bytes:
    """The program that drops what these send, and nothing else; at most `MOST` are heeded.

    Raises:
        ValueError: a host is none.
    """
    chosen = list(sources)[:MOST]
    ipv4 = [instruction for one in chosen if ":" not in one.host for instruction in _ipv4(one)]
    ipv6 = [instruction for one in chosen if ":" in one.host for instruction in _ipv6(one)]
    taken: Instruction = (_RETURN, 0, 0, _TAKE)
    # A socket of both families sees both headers, so each datagram tells which it has.
    program: list[Instruction] = [
        (_LOAD_BYTE, 0, 0, _IP_HEADER),
        (_AND, 0, 0, 0xF0),
        (_JUMP_IF_EQUAL, 1, 0, 0x40),
        (_JUMP, 0, 0, len(ipv4) + 3),
        (_LOAD_WORD, 0, 0, _IP_HEADER + _IPV4_SOURCE),
        (_STORE_MEMORY, 0, 0, 0),
        *ipv4,
        taken,
        (_LOAD_WORD, 0, 0, _IP_HEADER + _IPV6_SOURCE + 4),
        (_STORE_MEMORY, 0, 0, 1),
        (_LOAD_WORD, 0, 0, _IP_HEADER + _IPV6_SOURCE),
        (_STORE_MEMORY, 0, 0, 0),
        *ipv6,
        taken,
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _ipv4(source: Source) -> list[Instruction]:
    return _drop_if(int(IPv4Address(source.host)), _port(source))


def _ipv6(source: Source) -> list[Instruction]:
    prefix = int(IPv6Address(f"{source.host}::")) >> 64
    second: Test = ((_LOAD_MEMORY, 0, 0, 1), prefix & 0xFFFFFFFF)
    return _drop_if(prefix >> 32, [second, *_port(source)])


Test = tuple[Instruction, int]
"""What is loaded, and which value it must have."""


def _port(source: Source) -> list[Test]:
    return [((_LOAD_HALF, 0, 0, 0), source.port)] if source.port else []


def _drop_if(first: int, others: list[Test]) -> list[Instruction]:
    """Drop if the accumulator has the first value and the others hold; else restore it."""
    drop: Instruction = (_RETURN, 0, 0, _DROP)
    if not others:
        return [(_JUMP_IF_EQUAL, 0, 1, first), drop]
    program: list[Instruction] = [drop, (_LOAD_MEMORY, 0, 0, 0)]
    for load, value in reversed(others):
        # If it has another value, on to the end, where the accumulator is restored.
        program = [load, (_JUMP_IF_EQUAL, 0, len(program) - 1, value), *program]
    return [(_JUMP_IF_EQUAL, 0, len(program), first), *program]
