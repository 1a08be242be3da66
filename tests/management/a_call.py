"""A call and a binding as the management sees them, without a wire."""

from media.types import BurstLoss, FlowCounters, IntervalLoss
from sbc.b2bua.call import A, B, Call, MediaCounters
from sbc.b2bua.context import Context
from sbc.b2bua.leg import Leg
from sbc.driver.entropy import SystemEntropy
from sbc.driver.ports import NetworkPorts
from sbc.registrar.binding import Binding, NatEvidence
from sbc.routing.model import Listener, MediaRules, Network, Settings
from sbc.sip.flow import Flow

OUTSIDE = Flow("outside", "udp", ("192.0.2.1", 5060), ("2001:db8::7", 5062))
INSIDE = Flow("inside", "tcp", ("10.0.0.2", 5060), ("10.0.0.1", 5060), 3)


def a_call(name: str = "c1") -> Call:
    """A call that began at 100 on the monotonic clock, which was 1 700 000 000 for people."""
    network = Network(
        "outside", (Listener("udp", 4, "192.0.2.1", 5060, "192.0.2.1"),), (), (30000, 30010)
    )
    settings = Settings((network,), (), ())
    ids = SystemEntropy()
    ports = NetworkPorts(settings.networks, 1)
    call = Call(
        name=name,
        context=Context(settings, {"outside": network}, ids, ports, "i"),
        a=a_leg("phones", OUTSIDE, "a"),
        b=a_leg("", INSIDE, "b"),
        candidates=(),
        started_at=100.0,
        started_wall=1_700_000_000.0,
        caller="100",
        callee="600",
        route="phones to the PBX",
        max_forwards=70,
        loop_mark="m",
    )
    call.journal.note(100.0, "sip", "", "a", "in", b"INVITE sip:600@x SIP/2.0\r\n\xff\r\n")
    call.journal.note(100.5, "decision", "the rule chose pbx")
    return call


def a_leg(peer: str, flow: Flow, side: str) -> Leg:
    """A leg without a dialog."""
    return Leg(
        side=A if side == "a" else B,
        flow=flow,
        peer=peer,
        our_host="sbc",
        their_host="pbx",
        contact="<sip:sbc@192.0.2.1>",
        sent_by="192.0.2.1:5060",
        rules=MediaRules(),
        uuid=side * 32,
        local_tag=f"tag-{side}",
        call_id=f"call-{side}",
    )


def counted(index: int, lost: int) -> MediaCounters:
    """Counters of one stream of 8000 Hz; side b heard nothing."""
    heard = FlowCounters(
        packets=500,
        octets=86_000,
        lost=lost,
        jitter_ticks=16.0,
        interval=IntervalLoss(50, 0, 20),
        bursts=BurstLoss(1, lost, 2.0),
    )
    return MediaCounters(index, 8000, heard, FlowCounters())


def a_binding(aor: str = "100@pbx") -> Binding:
    """A phone behind a NAT that registered until 160."""
    return Binding(
        token="t",
        aor=aor,
        user="100",
        host="pbx",
        contact="sip:100@10.99.0.7",
        flow=OUTSIDE,
        endpoints="phones",
        registrar="pbx",
        expires_at=160.0,
        nat=NatEvidence(contact_differs=True, private_contact=True, via_differs=False),
    )
