"""What strangers may take of our sockets, and what was counted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Caps and timers of the transports. Every limit has its counter in `TransportStatistics`."""

    inbound_connections: int = 4096
    """Accepted connections per network: strangers on one cannot use up those of another."""
    connections_per_source: int = 200
    """Accepted connections per IPv4 address or IPv6 /64; an office behind one NAT is one source."""
    unproven_per_source: int = 100
    """How many of them may be unproven: nobody accepted anything that came over them yet."""
    arrivals_per_second: float = 200.0
    """Connections that are accepted of a source; with as many unproven ones each has half a second
    to shake hands, and as long again to register, before the next ones take its place."""
    arrivals_burst: float = 200.0
    outbound_connections: int = 1024
    """Connections that we opened ourselves; apart, so that strangers cannot use them up."""
    first_message_s: float = 10.0
    """An accepted connection must have brought a whole message by then."""
    unproven_s: float = 30.0
    """How much longer than `first_message_s` a connection may stay unproven, whatever it brings."""
    message_s: float = 10.0
    """A message that began to arrive must be whole by then, however slowly its bytes drip in."""
    idle_s: float = 900.0
    """A connection that carried nothing for so long, either way, is closed."""
    write_stall_s: float = 10.0
    """A peer that takes none of what is queued for it for so long is gone."""
    write_buffer_bytes: int = 262_144
    """Most bytes that wait for one connection."""
    pings_per_second: int = 5
    """CRLF pings per connection; who needs more does not want to know whether we are there."""
    stranger_units_per_second: float = 100.0
    """What the unproven connections of a source may bring together beyond what each of them may;
    see `sources` for units."""
    stranger_burst: float = 200.0
    proven_units_per_second: float = 5000.0
    """What its proven connections may bring together: perhaps a carrier's calls."""
    proven_burst: float = 2000.0
    overdrafts: int = 20
    """How often a source may overdraw its budget on end before its connections are closed."""
    handshake_s: float = 10.0
    """How long a TLS handshake may take, whoever began it."""
    handshakes: int = 1000
    """TLS handshakes of strangers under way at once. Those that wait for the stranger make room for
    new ones, the oldest first; those that wait for us make none, and a new one is refused."""
    upgrade_bytes: int = 8192
    """Longest HTTP request that begins a WebSocket."""
    fragments: int = 128
    """Most fragments of one message on a WebSocket."""
    websocket_ping_s: float = 30.0
    """How often we ping a WebSocket, so that proxies keep it and a dead one is noticed."""
    connect_s: float = 5.0
    """How long opening a connection may take."""
    receive_buffer_bytes: int = 2_097_152
    """What a UDP socket should be able to hold while the loop is busy."""
    stun_answers_per_second: int = 2000
    """STUN answers per socket; each is as large as its question, so this bounds reflection."""
    icmp_failures_per_second: int = 100
    """Failures reported because of ICMP errors, per socket."""


@dataclass(slots=True)
class TransportStatistics:
    """Counters since start; they only grow."""

    messages_in: int = 0
    messages_out: int = 0
    datagrams_shed: int = 0
    """Datagrams of strangers for which there was no time, since known sources go first."""
    keepalives_in: int = 0
    """CRLF or zero padding, on streams and datagrams."""
    stun_answered: int = 0
    stun_ignored: int = 0
    """STUN that is no answerable request, or was over the rate."""
    datagrams_unsent: int = 0
    """The socket's send buffer was full: lost as if on the wire, so retransmission repairs it."""
    send_errors: int = 0
    """The system refused to send: no route, firewall, too large, a host that is not numeric."""
    icmp_reported: int = 0
    icmp_suppressed: int = 0
    """ICMP errors beyond the rate."""
    icmp_unproven: int = 0
    """ICMP errors that did not quote a request of ours, so anybody could have made them up."""
    accepted: int = 0
    accept_errors: int = 0
    refused_total_cap: int = 0
    """The network's connections were all proven."""
    refused_source_cap: int = 0
    refused_blocked: int = 0
    """Connections of sources that the policy blocks, or that are banned."""
    refused_rate: int = 0
    """Connections of a source beyond `arrivals_per_second`."""
    opened: int = 0
    open_refused_cap: int = 0
    connect_failures: int = 0
    closed_slow_message: int = 0
    """No whole message in time: `first_message_s` or `message_s`."""
    closed_idle: int = 0
    closed_unproven: int = 0
    """Connections that proved nothing in time."""
    displaced_unproven: int = 0
    """Unproven connections closed in favour of new ones, since their source or network had no more
    room."""
    closed_pings: int = 0
    """Connections that brought more than `pings_per_second`."""
    closed_rate: int = 0
    """Connections whose source overdrew its budget again and again."""
    reading_paused: int = 0
    """Budgets overdrawn, for each of which a source was not read for a while."""
    closed_write_stall: int = 0
    closed_write_overflow: int = 0
    closed_malformed: int = 0
    closed_oversize: int = 0
    """Of these, those that brought a message longer than the limits allow."""
    malformed_unanswered: int = 0
    """Of these, which could have been answered, had the source not just had an answer."""
    closed_by_peer: int = 0
    """In order or by reset."""
    handshakes_done: int = 0
    """TLS handshakes that succeeded, of either side."""
    handshakes_failed: int = 0
    closed_slow_handshake: int = 0
    """Handshakes not done within `handshake_s`."""
    displaced_handshakes: int = 0
    """Handshakes that waited for the peer and made room for new ones."""
    refused_handshakes: int = 0
    """Handshakes refused because as many as may be waited for us already."""
    certificates_refused: int = 0
    """Servers that showed a certificate which is not that of the peer."""
    upgrades: int = 0
    """WebSockets that began."""
    refused_upgrades: int = 0
    """HTTP requests that were no beginning of one for SIP."""
    refused_upgrade_size: int = 0
    """Of these, those longer than `upgrade_bytes`."""
    refused_origins: int = 0
    """Of these, those of pages that are not on the list."""
    closed_websocket_fault: int = 0
    """WebSockets whose peer broke RFC 6455."""
    closed_message_size: int = 0
    """WebSockets that brought a message longer than any may be."""
    closed_fragments: int = 0
    """WebSockets that brought a message in more than `fragments`."""
    closed_silent: int = 0
    """WebSockets whose peer did not answer a ping."""
