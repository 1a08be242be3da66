"""The stage of the interop tests: homes behind routers, the Internet, the border, the office.

phone ── home ── router ┐
phone ── home ── router ┼── internet ── border ── office ── PBX
caller ─────────────────┘
"""

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kit import sound
from tests.kit.baresip import Account
from tests.kit.hosts import Host, Lab, Program, wait_until
from tests.kit.leak import Side, find_leaks
from tests.kit.nat import INSIDE, OUTSIDE, NatKind, make_router
from tests.kit.operator import told
from tests.kit.patience import PATIENCE_S
from tests.kit.sipp import Sipp
from tests.kit.wire import Capture, Datagram

ROOT = Path(__file__).parents[2]
DOMAIN = "office.example"
PASSWORD = "secret"
OUTER, OUTER6 = "203.0.113.1", "2001:db8:1::1"
"""The border on the Internet."""
INNER = "10.20.0.1"
"""The border in the office."""
CALLER, CALLER6 = "203.0.113.40", "2001:db8:1::40"
PBX = "10.20.0.2"
_SILENCE_S = 1.0

_CONFIGURATION = """\
version: 1
networks:
  outside:
    trust: untrusted
    bind: [{outer}, "{outer6}"]
    listen: [udp/5060, tcp/5060]
    media_ports: 30000-30999
    keepalive: {{method: options, interval: {keepalive_s}}}
  inside:
    trust: trusted
    bind: {inner}
    listen: [udp/5060, tcp/5060]
    media_ports: 40000-40999
peers:
  carrier:
    kind: trunk
    network: outside
    address: {caller}:5060
    sources: [{caller}, "{caller6}"]
    authentication: {carrier_authentication}
  phones:
    kind: endpoints
    network: outside
    media: {{srtp: {srtp}, sdes_in_clear: true}}
    authentication: {phones_authentication}
    registration: {registration}
  pbx:
    kind: pbx
    network: inside
    address: {pbx_address}
    domain: {domain}
    media: {{srtp: "off"}}
    authentication: {pbx_authentication}
{peers}
routes:
  - {{name: from the carrier, from: carrier, to: pbx}}
  - {{name: from phones, from: phones, to: pbx}}
  - {{name: to phones, from: pbx, to: phones}}
policies: {policy}
media: {{engine: {engine}}}
state_dir: state
{more}
"""


@dataclass(slots=True)
class Heard:
    """A host with a capture of its own: what arrived there is what was heard there."""

    host: Host
    capture: Capture

    def packets(self, port: int | None = None) -> list[Datagram]:
        """RTP and everything else that arrived, on one port or all."""
        return self.capture.datagrams(
            lambda datagram: (
                not datagram.sent
                and datagram.destination in self.host.addresses
                and (port is None or datagram.destination_port == port)
            )
        )

    def seconds_of(self, tune: str, *, before: float | None = None, after: float = 0.0) -> float:
        """The longest unbroken stretch of a tune that arrived as plain PCMU in a time window."""
        packets = [
            packet
            for packet in self.packets()
            if packet.at >= after and (before is None or packet.at < before)
        ]
        return sound.seconds_of_tune(sound.heard_in_rtp(packets), sound.TUNES[tune])

    def hears(self, tune: str, seconds: float, *, within_s: float, after: float = 0.0) -> None:
        """Wait until an unbroken stretch of a tune has arrived.

        Raises:
            NeverHappened: it did not.
        """
        wait_until(
            lambda: self.seconds_of(tune, after=after) >= seconds,
            within_s=within_s,
            what=f"{seconds:g} s of {tune}'s tune at {self.host.name}",
        )

    def is_silent(self) -> bool:
        """Whether no RTP has arrived for a second."""
        rtp = [packet.at for packet in self.packets() if sound.is_rtp(packet.payload)]
        return bool(rtp) and time.time() - rtp[-1] > _SILENCE_S


class Scene:
    """The networks, the border's host and everybody around it; the SBC itself starts later."""

    def __init__(self, lab: Lab, directory: Path, engine: str) -> None:
        """Lays the cables.

        Args:
            lab: what the hosts belong to.
            directory: where configuration, records and captures go.
            engine: what relays media, as the key `media.engine` has it.
        """
        self.lab = lab
        self.engine = engine
        self.directory = directory
        self.internet = lab.switch("internet")
        self.office = lab.switch("office")
        self.border = lab.host("border")
        self.border.join(self.internet, f"{OUTER}/24", f"{OUTER6}/64")
        self.border.join(self.office, f"{INNER}/24")
        self.pbx = lab.host("pbx")
        self.pbx.join(self.office, f"{PBX}/24")
        self.crossing = lab.keep(Capture(self.border))
        self.sbc: Program | None = None
        self._outside = [OUTER, OUTER6]
        self._homes = 0
        self._configuration = directory / "sbc.yaml"

    def caller(self) -> Host:
        """A host on the Internet, without a NAT: the carrier of the SIPp tests."""
        host = self.lab.host("caller")
        host.join(self.internet, f"{CALLER}/24", f"{CALLER6}/64")
        self._outside += host.addresses
        return host

    def home(self, kind: NatKind, *, pinhole_s: int = 30) -> Host:
        """A host behind a router of its own."""
        self._homes += 1
        number = self._homes
        lan = self.lab.switch(f"home{number}")
        router = self.lab.host(f"router{number}")
        router.join(lan, f"192.168.{70 + number}.1/24", interface=INSIDE)
        router.join(self.internet, f"203.0.113.{20 + number}/24", interface=OUTSIDE)
        make_router(router, kind, pinhole_s=pinhole_s)
        host = self.lab.host(f"phone{number}")
        host.join(lan, f"192.168.{70 + number}.10/24")
        host.route(f"192.168.{70 + number}.1")
        self._outside += [*router.addresses, *host.addresses]
        return host

    def heard_at(self, host: Host) -> Heard:
        """Record from now on what arrives at a host."""
        return Heard(host, self.lab.keep(Capture(host)))

    def start_sbc(
        self,
        *,
        pbx_transport: str = "udp",
        pbx_address: str = "",
        srtp: str = "allow",
        keepalive_s: float = 25,
        registration: str = "{mode: relay}",
        peers: str = "",
        more: str = "",
        authentication: Mapping[str, str] | None = None,
    ) -> None:
        """Run the SBC and wait until it listens on both networks.

        Args:
            pbx_transport: how it speaks to the PBX.
            pbx_address: what the configuration says instead of the PBX's address and transport.
            srtp: the media rule for phones.
            keepalive_s: seconds between keep-alives to phones behind a NAT.
            authentication: that key of the peers `carrier`, `phones` and `pbx`, where it is not
                to pass through.
            registration: that key of the phones.
            peers: lines of the configuration for peers besides those of every test.
            more: sections of the configuration besides those of every test.
        """
        given = authentication or {}
        self._configuration.write_text(
            _CONFIGURATION.format(
                outer=OUTER,
                outer6=OUTER6,
                inner=INNER,
                caller=CALLER,
                caller6=CALLER6,
                pbx_address=pbx_address or f"{PBX}:5060;transport={pbx_transport}",
                domain=DOMAIN,
                policy=ROOT / "policies" / "edge-default.yaml",
                srtp=srtp,
                keepalive_s=keepalive_s,
                registration=registration,
                engine=self.engine,
                **{
                    f"{peer}_authentication": given.get(peer, "{mode: pass}")
                    for peer in ("carrier", "phones", "pbx")
                },
                peers=peers,
                more=more,
            )
        )
        self.sbc = self.border.start(
            "sbc",
            *(sys.executable, "-m", "sbc", "run", str(self._configuration)),
            cwd=ROOT,
            env={"PYTHONUNBUFFERED": "1"},
        )
        sbc = self.sbc

        def listens() -> bool:
            if not sbc.running:
                raise AssertionError(f"the SBC ended:\n{sbc.tail()}")
            table = self.border.run("cat", "/proc/net/udp")
            return table.count(":13C4 ") >= 2

        wait_until(listens, within_s=PATIENCE_S, what=f"the SBC listens\n{sbc.tail()}")
        sbc.expect(f"engine={self.engine}", within_s=PATIENCE_S)

    def start_pbx(self, *users: str) -> None:
        """Run the test PBX: 600 echoes, 601 plays a tone, users (password ``secret``) call."""
        words = [word for user in users for word in ("--user", f"{user}:{PASSWORD}")]
        listen = ("--listen", f"{PBX}:5060")
        program = self.pbx.start(
            "pbx", *(sys.executable, "-m", "sbc.demo.pbx", *listen, *words), cwd=ROOT
        )
        program.expect("PBX at", within_s=PATIENCE_S)

    def account(self, user: str, *, srtp: bool = False, transport: str = "udp") -> Account:
        """A phone's settings: it knows the PBX's domain, and the SBC as its outbound proxy."""
        return Account(
            user,
            DOMAIN,
            outbound=f"{OUTER}:5060",
            password=PASSWORD,
            register_s=300,
            transport=transport,
            srtp=srtp,
        )

    def ask_sbc(self, *words: str) -> list[dict[str, object]]:
        """What a command of the SBC lists, as JSON."""
        rows = self._told(*words)
        assert isinstance(rows, list)
        return rows

    def sbc_status(self) -> dict[str, object]:
        """What the SBC holds and counts."""
        status = self._told("status")
        assert isinstance(status, dict)
        return status

    def _told(self, *words: str) -> object:
        return json.loads(told(self._configuration, *words, "--json"))

    def finish(self, *parties: Sipp, within_s: float = 30) -> None:
        """Let SIPp's parties end; every call succeeded and nothing was sent twice."""
        for party in parties:
            try:
                counts = party.finish(within_s=within_s)
            except AssertionError as error:
                raise AssertionError(f"{error}\n--- SBC\n{self._sbc_tail()}") from None
            assert counts.retransmissions == 0, party.program.tail()

    def nothing_leaks(self, *, known_to_both: Sequence[str] = ()) -> None:
        """No byte sent to one side tells about the other."""
        self.crossing.write_pcap(self.directory / "border.pcap")
        leaks = find_leaks(
            self.crossing,
            Side("outside", ("203.0.113.0/24", "2001:db8:1::/64"), tuple(self._outside)),
            Side("inside", ("10.20.0.0/24",), (INNER, PBX)),
            known_to_both=known_to_both,
        )
        assert not leaks, "\n".join(str(leak) for leak in leaks)

    def no_call_is_left(self, *, made: int) -> None:
        """All calls are over, and each has its record (besides attempts that were challenged)."""
        wait_until(lambda: not self.ask_sbc("calls"), within_s=PATIENCE_S, what="no call is left")

        def recorded() -> bool:
            records = self.ask_sbc("cdr")
            assert all(record["ended_at"] is not None for record in records), records
            return sum(record["status"] not in (401, 407) for record in records) == made

        wait_until(recorded, within_s=PATIENCE_S, what=f"records of {made} calls")

    def stop_sbc(self) -> None:
        """End the SBC as an operator would; it leaves in order and has not stumbled."""
        assert self.sbc is not None
        self.sbc.process.send_signal(signal.SIGTERM)
        status = self.sbc.wait(within_s=PATIENCE_S)
        assert status == 0, f"the SBC ended with {status}:\n{self.sbc.tail()}"
        assert "Traceback" not in self.sbc.output, self.sbc.output

    def _sbc_tail(self) -> str:
        return self.sbc.tail(80) if self.sbc is not None else "not started"
