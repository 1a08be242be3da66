"""Keep-alives: what keeps a phone's pinhole open, and tells whether anybody is behind it.

Over UDP an OPTIONS, since its answer proves both ways, or bare CRLF where a network says so; over
streams CRLF, whose loss the connection itself reports.

Spec: RFC 5626 §3.5, RFC 5853 §3.4.
"""

from sbc.registrar.binding import Binding
from sbc.registrar.commands import BindingChanged, Command
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.facing import contact_of, listener_of, sent_by
from sbc.routing.model import Network
from sbc.routing.spread import Spread
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from sbc.sip.user import Ping, SendRequest

MISSED_LIMIT = 3
"""Unanswered keep-alives in a row before a phone counts as unreachable."""


class Keepalives:
    """The pings under way: at most one per binding, whatever becomes of its transaction."""

    __slots__ = ("_asked", "_names", "_spread", "_waiting")

    def __init__(self, names: Pseudonyms, spread: Spread) -> None:
        self._names = names
        self._spread = spread
        self._asked: dict[str, str] = {}
        """Key of the binding by the ref of its ping."""
        self._waiting: dict[str, str] = {}
        """The other way round."""

    def __len__(self) -> int:
        return len(self._asked)

    def first_at(self, interval_s: float, now: float) -> float:
        """When to ping a phone for the first time: between half an interval and a whole one.

        The moment stays a phone's own from then on, so that phones that register in one burst
        (after a power cut, say) are not pinged in one.
        """
        return now + interval_s * (0.5 + self._spread.fraction() / 2)

    def ping(
        self, binding: Binding, network: Network, ref: str, server_header: str | None
    ) -> list[Command]:
        """Ping a phone; the ping before counts as missed if nobody answered it until now."""
        if network.keepalive.method == "crlf" or binding.flow.reliable:
            return [Ping(binding.flow)]
        out: list[Command] = []
        if self.forget(binding.key):
            out += missed(binding)
        self._asked[ref] = binding.key
        self._waiting[binding.key] = ref
        request = _options(binding, network, ref, self._names, server_header)
        return [*out, SendRequest(ref, binding.flow, request)]

    def answered(self, ref: str) -> str | None:
        """The key of the binding that was asked; None if that was no ping of ours."""
        key = self._asked.pop(ref, None)
        if key is not None:
            del self._waiting[key]
        return key

    def forget(self, key: str) -> bool:
        """Wait no longer for a phone's answer; whether one was due."""
        ref = self._waiting.pop(key, None)
        if ref is None:
            return False
        del self._asked[ref]
        return True


def pong(binding: Binding) -> list[Command]:
    """A phone answered: any response, whatever its status, came through the pinhole."""
    binding.missed = 0
    if binding.reachable:
        return []
    binding.reachable = True
    return [BindingChanged("reachable", binding)]


def missed(binding: Binding) -> list[Command]:
    """A phone did not answer; with the last of several in a row it counts as unreachable."""
    binding.missed += 1
    if binding.missed < MISSED_LIMIT or not binding.reachable:
        return []
    binding.reachable = False
    return [BindingChanged("unreachable", binding)]


def _options(
    binding: Binding, network: Network, ref: str, names: Pseudonyms, server_header: str | None
) -> Request:
    """An OPTIONS whose only purpose is that the phone answers through its NAT."""
    listener = listener_of(network, binding.flow)
    ours = sent_by(listener)
    headers = Headers()
    headers.append("Via", f"SIP/2.0/{binding.flow.transport.upper()} {ours};branch={ref};rport")
    headers.append("Max-Forwards", "70")
    headers.append("From", f"<sip:keepalive@{ours}>;tag={names.of(ref)}")
    headers.append("To", f"<{binding.aor}>")
    headers.append("Call-ID", names.of("options", ref) + names.of("id", ref))
    headers.append("CSeq", "1 OPTIONS")
    headers.append("Contact", contact_of(listener))
    for route in binding.path:
        headers.append("Route", route)
    if server_header:
        headers.append("User-Agent", server_header)
    return Request("OPTIONS", binding.contact, headers)
