"""How many handshake datagrams are handed up: per source, port and second, in bounded memory."""

from media.engines.handshakes import HANDSHAKES_PER_S, HandshakeLimit, place_of
from media.types import Endpoint

PORT, OTHER_PORT = Endpoint("192.0.2.1", 20000), Endpoint("192.0.2.1", 20001)
HOST, OTHER_HOST = "198.51.100.1", "198.51.100.2"


def admitted(limit: HandshakeLimit, port: Endpoint, host: str, now: float) -> int:
    """How many of a spray are admitted."""
    return sum(limit.admits(port, host, now) for _ in range(3 * HANDSHAKES_PER_S))


def test_each_source_has_its_share_at_each_port_and_in_each_second() -> None:
    limit = HandshakeLimit(seed=1)
    for port, host, now in (
        (PORT, HOST, 7.0),
        (PORT, OTHER_HOST, 7.5),
        (OTHER_PORT, HOST, 7.9),
        (PORT, HOST, 8.0),
        (Endpoint("2001:db8::1", 20000), "2001:db8::2", 8.0),
    ):
        assert admitted(limit, port, host, now) == HANDSHAKES_PER_S
        assert admitted(limit, port, host, now) == 0


def test_sources_without_end_cost_no_memory_without_end() -> None:
    limit = HandshakeLimit(seed=1)
    for number in range(5000):
        limit.admits(PORT, f"198.51.{number // 256}.{number % 256}", 0.0)
    assert len(limit._counts) <= 1024


def test_a_source_stands_where_the_native_engine_places_it() -> None:
    seed = (1).to_bytes(8, "big")
    assert place_of(seed, PORT, HOST) == 741
    assert place_of(seed, Endpoint("2001:db8::1", 20001), "2001:db8::2") == 892
