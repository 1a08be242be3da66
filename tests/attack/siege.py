"""One call under attack: what is thrown at it, and what must then be counted and told of it."""

from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cached_property
from itertools import count, repeat
from types import TracebackType

from media.types import Component, DropReason, Endpoint
from tests.attack.field import INNER, INNER_PORTS, OUTER, OUTER_PORTS, PBX, Field, Home
from tests.kit.barrage import barrage, reason
from tests.kit.hosts import Host, NeverHappened, wait_until
from tests.kit.patience import PATIENCE_S
from tests.kit.sprayer import Sprayer
from tests.kit.talkers import Talk, Talker
from tests.kit.wire import Capture, Datagram

Drops = dict[str, Counter[DropReason]]
"""Dropped packets by side, ``a`` and ``b``, and reason."""
LEARNING = 2
"""Packets of a plain phone behind a NAT that are only watched, before its third is relayed."""
GROWTH_KIB = 1024
"""How much memory a siege may cost the border: a call and its record, and nothing per packet."""
SALVO = 50
"""How much is thrown at one port at a time: less than a socket holds."""
_numbers = count(1)


class Siege(AbstractContextManager["Siege"]):
    """A phone, plain or with SRTP, that calls the office while a stranger attacks.

    Everything that is thrown at an open port of the call is entered with its reason in `expected`;
    in the end the border must have counted the same, neither more nor less.
    """

    def __init__(self, field: Field, home: Home, *, secure: bool) -> None:
        """Nobody has called yet."""
        self.field = field
        self.home = home
        self.secure = secure
        self.expected: Drops = {"a": Counter(), "b": Counter()}
        self._stack = ExitStack()
        self._barrages = count()
        number = next(_numbers)
        self.caller, phone = f"phone{number}", field.phones[home]
        a = Talker(self.caller, phone, OUTER, ssrc=2 * number, secure=secure)
        b = Talker(f"office{number}", field.pbx, INNER, ssrc=2 * number + 1, answers_after_s=None)
        self.talk = Talk(self._stack.enter_context(a), self._stack.enter_context(b))
        self.stranger = self.sprayer(field.stranger)
        self._capture = self._stack.enter_context(Capture(field.border, only_sent=True))
        self._resident_before_kib = field.resident_kib

    def sprayer(self, host: Host) -> Sprayer:
        """An attacker on a host."""
        return self._stack.enter_context(Sprayer(host, self.field.border))

    # -- the call ----------------------------------------------------------------------------

    @cached_property
    def name(self) -> str:
        """The border's own id of the call; to be asked for first while the call is up."""
        (row,) = [row for row in self.field.commands("calls") if row["from"] == self.caller]
        return str(row["call"])

    def is_set_up(self) -> "Siege":
        """A calls and B answers; neither has talked yet."""
        self.talk.rings()
        self.talk.is_answered()
        return self

    def is_up(self) -> "Siege":
        """A calls, B answers, and they talk."""
        self.is_set_up().begins()
        return self

    def begins(self) -> None:
        """A says what it must say before it is heard, and from then on each hears the other."""
        if self.home.nated and not self.secure:
            for _ in range(LEARNING):
                self.talk.a.says()
            self.expected["a"][DropReason.UNKNOWN_SOURCE] += LEARNING
        assert self.talk.a.says() == self.talk.b.hears()
        self.talk.exchanges(3)
        self.talk.exchanges_reports()

    def ends(self) -> list[str]:
        """A hangs up; returns the story in the call's record, line by line, without its times."""
        name = self.name
        self.talk.ends()
        self.field.is_quiet()
        (record,) = self.field.cli("cdr", "--call", name)
        assert record["ended_by"] == "caller"
        return [line.partition(" ")[2] for line in record["ladder"].splitlines()]

    def tells(self, side: str, what: str) -> None:
        """The call's story says of a side what the relay has seen, or will within a second.

        Raises:
            NeverHappened: it does not.
        """

        def told() -> bool:
            journal = self.field.commands("call", call=self.name)["journal"]
            return any(
                entry["kind"] == "media" and entry["side"] == side and what in entry["summary"]
                for entry in journal
            )

        self.field.until(told, f"the story says: {what}")

    # -- the attack --------------------------------------------------------------------------

    def is_sprayed(self, *, secure: bool | None = None) -> None:
        """The stranger throws one of everything at every media port, outside and inside.

        Args:
            secure: Whether A's side has its keys yet, if that is not what the call shall have.
        """
        a = self.talk.a
        shots = barrage(next(self._barrages), ssrc=a.ssrc, sequence=a.said)
        for host, ports in ((OUTER, OUTER_PORTS), (INNER, INNER_PORTS)):
            for port in ports:
                for shot in shots:
                    self.stranger.sends(shot.data, Endpoint(host, port))
        self.stranger.waits_for_delivery()
        for component in Component:
            for shot in shots:
                with_keys = self.secure if secure is None else secure
                self.expected["a"][reason(shot.kind, component, secure=with_keys)] += 1
                self.expected["b"][reason(shot.kind, component, secure=False)] += 1

    def is_pelted(
        self,
        packets: Iterable[bytes],
        why: DropReason,
        *,
        names: Iterable[Endpoint] | None = None,
        component: Component = Component.RTP,
    ) -> None:
        """The stranger throws packets at one of A's ports, while A and B talk on.

        What A sends there comes through behind what was thrown, so no queue ever runs over.

        Args:
            packets: What is thrown.
            why: For what reason each of them is dropped.
            names: In whose names, one for each packet; the stranger's own if nobody is named.
            component: At which port.
        """
        a, at_rtp = self.talk.a, component is Component.RTP
        target = a.border_rtp if at_rtp else a.border_rtcp
        talks = self.talk.exchanges if at_rtp else self.talk.exchanges_reports
        sources = repeat(None) if names is None else names
        for number, (packet, source) in enumerate(zip(packets, sources, strict=False), start=1):
            if source is None:
                self.stranger.sends(packet, target)
            else:
                self.stranger.forges(packet, source, target)
            self.expected["a"][why] += 1
            if number % SALVO == 0:
                talks()
        talks()

    # -- the outcome -------------------------------------------------------------------------

    def counted(self) -> Drops:
        """What the border has dropped, when it has had the time to read all that was thrown."""
        total = _total(self.expected)
        with suppress(NeverHappened):  # then what it has dropped says more
            wait_until(
                lambda: _total(self._drops()) >= total, within_s=PATIENCE_S, what="all is read"
            )
        return self._drops()

    def lost(self) -> dict[str, int]:
        """How many packets the border misses in what each side sent."""
        media = self._media()
        return {side: int(media[side]["lost"]) for side in "ab"}

    def latched(self) -> Endpoint:
        """Where the border has learned A's RTP to come from."""
        host, port = self._media()["a_rtp_latch"]["source"].split(":")
        return Endpoint(host, int(port))

    def nothing_was_bled_or_injected(self) -> None:
        """What left the border is what the two heard of each other, to the packet."""
        a, b = self.talk.a, self.talk.b
        assert [*self.stranger.heard(), *a.unheard(), *b.unheard()] == []
        relayed = Counter(packet.destination for packet in self.media_sent() if packet.payload)
        assert relayed == {self.field.public_host(self.home): a.heard, PBX: b.heard}

    def media_sent(self) -> list[Datagram]:
        """Every datagram that has left a media port of the border since the siege began."""
        return [
            datagram
            for datagram in self._capture.datagrams()
            if datagram.source_port in OUTER_PORTS or datagram.source_port in INNER_PORTS
        ]

    @property
    def grown_kib(self) -> int:
        """How much more memory the border's process has than when the siege began."""
        return self.field.resident_kib - self._resident_before_kib

    def _media(self) -> dict[str, dict[str, str]]:
        """What ``sbc calls --ladder`` says of the call's one stream."""
        (stream,) = self.field.commands("call", call=self.name)["media"]
        return stream

    def _drops(self) -> Drops:
        media = self._media()
        return {
            side: Counter({DropReason[name.upper()]: n for name, n in media[side]["drops"].items()})
            for side in "ab"
        }

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.talk.ends()
        finally:
            self._stack.close()


def _total(drops: Drops) -> int:
    return sum(drop.total() for drop in drops.values())
