//! One stream: what a datagram that arrives on one of its sides goes through.

use std::net::SocketAddr;
use std::time::Duration;

use crate::buffer::PacketBuf;
use crate::counters::SideCounters;
use crate::event::Event;
use crate::latch::Evidence;
use crate::moment::Moment;
use crate::own::{OwnPort, OwnPorts};
use crate::packet::{
    PacketKind, RtpHeader, classify_untrusted, is_compound_rtcp_untrusted, read_rtcp_untrusted,
    read_rtp_untrusted,
};
use crate::plan::{PlanError, StreamPlan};
use crate::port::PortName;
use crate::rating::Path;
use crate::relay::{Opener, Verdict};
use crate::reporter::Reporter;
use crate::side::{Side, SideChange, ticks};
use crate::types::{Component, DropReason, Endpoint, PortId, Refusal, SideName, StreamKey};

const MAX_DATAGRAM_BYTES: usize = 2048;
const COMPONENTS: [Component; 2] = [Component::Rtp, Component::Rtcp];
const SIDES: [SideName; 2] = [SideName::A, SideName::B];

/// What all streams of a relay share.
pub(crate) struct Surroundings<'a> {
    pub(crate) own: &'a OwnPorts,
    pub(crate) reporter: &'a mut Reporter,
    pub(crate) now: Moment,
}

/// A stream that is relayed.
pub(crate) struct Stream {
    pub(crate) key: StreamKey,
    clock_hz: u32,
    speech: bool,
    pinholes: bool,
    inactivity: Option<Duration>,
    pub(crate) sides: [Side; 2],
}

/// A prepared change of both sides.
pub(crate) struct StreamChange {
    a: SideChange,
    b: SideChange,
}

impl StreamChange {
    pub(crate) fn prepare(plan: &StreamPlan, before: Option<&Stream>) -> Result<Self, PlanError> {
        plan.check()?;
        Ok(Self {
            a: SideChange::prepare(&plan.a, before.map(|stream| &stream.sides[0]))?,
            b: SideChange::prepare(&plan.b, before.map(|stream| &stream.sides[1]))?,
        })
    }
}

impl Stream {
    /// A stream that is still to adopt its first plan.
    pub(crate) fn new(key: StreamKey, plan: &StreamPlan) -> Self {
        Self {
            key,
            clock_hz: plan.clock_hz,
            speech: plan.speech,
            pinholes: plan.pinholes,
            inactivity: plan.inactivity,
            sides: [Side::new(&plan.a), Side::new(&plan.b)],
        }
    }

    /// Becomes what was prepared for it.
    pub(crate) fn adopt(
        &mut self,
        plan: &StreamPlan,
        change: StreamChange,
        own: &OwnPorts,
        now: Moment,
    ) {
        let before = self.locals();
        self.clock_hz = plan.clock_hz;
        self.speech = plan.speech;
        let [a, b] = &mut self.sides;
        a.adopt(&plan.a, change.a, now);
        b.adopt(&plan.b, change.b, now);
        let after = self.locals();
        for gone in before.iter().filter(|local| !after.contains(local)) {
            own.remove(gone);
        }
        self.announce(own);
        self.pinholes = plan.pinholes;
        self.inactivity = plan.inactivity;
    }

    /// Enters its ports among the relay's own, and finds out which of them lead round.
    pub(crate) fn announce(&mut self, own: &OwnPorts) {
        for (side, other) in [(0, 1), (1, 0)] {
            let (side, other) = (&self.sides[side], &self.sides[other]);
            for component in COMPONENTS {
                let leaving_rtcp = other.plan.local_of(other.rtcp_component());
                own.insert(
                    side.plan.local_of(component),
                    OwnPort {
                        remote: side.port(component).remote,
                        leaving_rtp: other.plan.local,
                        leaving_rtcp,
                    },
                );
            }
        }
        for side in &mut self.sides {
            for component in COMPONENTS {
                let local = side.plan.local_of(component);
                let port = side.port_mut(component);
                let ours = port.remote.is_some_and(|remote| own.contains(&remote));
                port.loops = ours && own.comes_round(&local);
            }
            side.bar();
        }
    }

    /// Takes its ports out of the relay's own.
    pub(crate) fn withdraw(&self, own: &OwnPorts) {
        for local in self.locals() {
            own.remove(&local);
        }
    }

    const fn locals(&self) -> [Endpoint; 4] {
        let [a, b] = &self.sides;
        [a.plan.local, a.plan.local_rtcp, b.plan.local, b.plan.local_rtcp]
    }

    /// Begins or goes on to expect packets, and opens pinholes.
    ///
    /// Silence counts only when both legs have said where they receive: before that one of them
    /// has nobody to talk to.
    pub(crate) fn expect(&mut self, now: Moment, openers: &mut impl FnMut(Opener)) {
        let joined = self.sides.iter().all(|side| side.rtp.remote.is_some());
        for name in SIDES {
            let port = self.name(name, Component::Rtp);
            let expected = self.inactivity.is_some() && joined;
            let side = &mut self.sides[name as usize];
            side.expect(expected && side.plan.sending, now);
            if self.pinholes {
                side.open_pinholes(port, now, openers);
            }
        }
    }

    /// Reports what is due, keeps pinholes open, ends a loss interval and rates speech.
    pub(crate) fn look(
        &mut self,
        now: Moment,
        reporter: &mut Reporter,
        openers: &mut impl FnMut(Opener),
    ) {
        let path = self.path();
        for name in SIDES {
            let port = self.name(name, Component::Rtp);
            let side = &mut self.sides[name as usize];
            if let Some(inactivity) = self.inactivity {
                side.look_for_silence(port, inactivity, now, reporter);
            }
            side.look_at_keys(port, now, reporter);
            if self.pinholes {
                side.keep_alive(port, now, openers);
            }
            side.reception.end_interval();
            if let Some(path) = path {
                side.ratings.look(&side.reception, path);
            }
        }
    }

    /// All that was counted on both sides.
    pub(crate) fn counters(&self) -> [SideCounters; 2] {
        self.sides.each_ref().map(|side| side.counters(self.path()))
    }

    /// What speech goes through from phone to phone; `None` where there is no speech.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    fn path(&self) -> Option<Path> {
        let round_trips = self.sides.iter().filter_map(|side| side.reports.round_trip());
        let delay_ms = round_trips.sum::<u64>() as f64 / 2e6;
        self.speech.then_some(Path { clock_hz: self.clock_hz, delay_ms })
    }

    pub(crate) const fn side(&self, name: SideName) -> &Side {
        &self.sides[name as usize]
    }

    /// Counts datagrams that never came as far as to us.
    pub(crate) fn count_queue_full(&mut self, name: SideName, datagrams: u64) {
        self.sides[name as usize].rare.drop_many(DropReason::QueueFull, datagrams);
    }

    /// Takes back that a packet was sent from a side.
    pub(crate) fn send_failed(&mut self, sent_from: SideName, kind: PacketKind) {
        let (side, out) = self.facing(sent_from.other());
        side.rare.drop(DropReason::SendFailed);
        if kind == PacketKind::Rtp {
            out.totals.sent_packets = out.totals.sent_packets.saturating_sub(1);
        }
    }

    /// Reads what the next packet that comes to a side will need.
    #[inline]
    pub(crate) fn warm(&self, name: SideName) {
        let [a, b] = &self.sides;
        let (side, out) = match name {
            SideName::A => (a, b),
            SideName::B => (b, a),
        };
        side.warm_receiving();
        out.warm_sending();
    }

    /// Takes one datagram through: demux, proof, latch, limit, count, relay.
    #[inline]
    pub(crate) fn receive_untrusted(
        &mut self,
        port: PortId,
        source: SocketAddr,
        packet: &mut PacketBuf<'_>,
        around: &mut Surroundings<'_>,
    ) -> Verdict {
        let (name, component) = (port.side(), port.component());
        let side = &self.sides[name as usize];
        let kind = classify_untrusted(packet.data());
        let done = if packet.len() > MAX_DATAGRAM_BYTES {
            Err(DropReason::TooLong)
        } else if kind == PacketKind::Rtp && component == Component::Rtp {
            self.receive_rtp_untrusted(name, source, packet, around)
        } else if kind == PacketKind::Rtcp && component == side.rtcp_component() {
            self.receive_rtcp_untrusted(name, source, packet, around)
        } else if kind == PacketKind::Other {
            Err(DropReason::NotRtp)
        } else if side.plan.handshakes && matches!(kind, PacketKind::Stun | PacketKind::Dtls) {
            self.hand_up(port, source, packet, around)
        } else {
            Err(DropReason::UnexpectedProtocol)
        };
        done.unwrap_or_else(|reason| {
            self.sides[name as usize].rare.drop(reason);
            Verdict::Drop(reason)
        })
    }

    #[inline]
    fn receive_rtp_untrusted(
        &mut self,
        name: SideName,
        source: SocketAddr,
        packet: &mut PacketBuf<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<Verdict, DropReason> {
        let header = read_rtp_untrusted(packet.data()).ok_or(DropReason::NotRtp)?;
        let bytes = packet.len();
        let now = around.now;
        let port = self.name(name, Component::Rtp);
        let arrival_ticks = ticks(now, self.clock_hz);
        let (side, out) = self.facing(name);
        side.open_rtp_untrusted(packet, &header, now)?;
        if side.rtp.heard != Some(source) {
            let evidence = Evidence {
                newest: side.reception.is_newer(&header),
                sequence: Some(header.sequence),
                ssrc: header.ssrc,
                companion: None,
                silent: now - side.rtp_heard_at,
            };
            admit(side, port, source, &evidence, around)?;
            if let Some(host) = side.companion() {
                side.rtcp.distrust(host);
            }
        }
        if side.limit.as_mut().is_some_and(|limit| !limit.admits(bytes, now)) {
            return Err(DropReason::OverRate);
        }
        side.totals.packets += 1;
        side.totals.octets += bytes as u64;
        side.rtp_heard_at = now;
        side.reception.receive(&header, arrival_ticks);
        let destination = relay_rtp(out, packet, &header)?;
        let port = self.key.port(name.other(), Component::Rtp);
        Ok(Verdict::Forward { port, destination, kind: PacketKind::Rtp })
    }

    fn receive_rtcp_untrusted(
        &mut self,
        name: SideName,
        source: SocketAddr,
        packet: &mut PacketBuf<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<Verdict, DropReason> {
        let ssrc = read_rtcp_untrusted(packet.data()).ok_or(DropReason::NotRtp)?;
        let bytes = packet.len();
        let now = around.now;
        let component = self.sides[name as usize].rtcp_component();
        let port = self.name(name, component);
        let (side, out) = self.facing(name);
        side.open_rtcp_untrusted(packet, ssrc, now)?;
        if !is_compound_rtcp_untrusted(packet.data()) {
            return Err(DropReason::NotRtp);
        }
        if side.port(component).heard != Some(source) {
            // On the port of RTP itself nothing vouches for RTCP: it may not move RTP elsewhere.
            let companion = side.companion().filter(|_| component == Component::Rtcp);
            let evidence = Evidence::of_rtcp(companion, now - side.heard_at(component));
            admit(side, port, source, &evidence, around)?;
        }
        if side.limit.as_mut().is_some_and(|limit| !limit.admits(bytes, now)) {
            return Err(DropReason::OverRate);
        }
        side.rare.rtcp_packets += 1;
        side.hear_rtcp(now);
        side.reports.read_untrusted(packet.data(), out.reception.ssrc(), now);
        out.reports.note_sent_untrusted(packet.data(), now);
        let component = out.rtcp_component();
        let destination = relay_rtcp(out, component, packet, ssrc)?;
        let port = self.key.port(name.other(), component);
        Ok(Verdict::Forward { port, destination, kind: PacketKind::Rtcp })
    }

    fn hand_up(
        &self,
        port: PortId,
        source: SocketAddr,
        packet: &PacketBuf<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<Verdict, DropReason> {
        let local = self.side(port.side()).plan.local_of(port.component());
        if !around.reporter.admits_handshake(local, source.ip(), around.now) {
            return Err(DropReason::OverRate);
        }
        around.reporter.report(Event::Handshake {
            stream: self.key,
            side: port.side(),
            component: port.component(),
            source,
            data: packet.data().into(),
        });
        Ok(Verdict::Handshake)
    }

    const fn name(&self, side: SideName, component: Component) -> PortName {
        PortName { stream: self.key, side, component }
    }

    /// A side, and the one that its packets go out by.
    #[inline]
    const fn facing(&mut self, name: SideName) -> (&mut Side, &mut Side) {
        let [a, b] = &mut self.sides;
        match name {
            SideName::A => (a, b),
            SideName::B => (b, a),
        }
    }
}

/// Whether a source that is not simply the one in use may be heard.
fn admit(
    side: &mut Side,
    name: PortName,
    source: SocketAddr,
    evidence: &Evidence,
    around: &mut Surroundings<'_>,
) -> Result<(), DropReason> {
    let endpoint = Endpoint::from(source);
    let port = side.port_mut(name.component);
    if port.remote != Some(endpoint) && around.own.contains(&endpoint) {
        // Two calls may be joined through us (a PBX that steps out of the media announces our
        // port to us); then the SDP says so. Anything else of our own goes round in circles.
        port.report_refused(name, endpoint, Refusal::RelayLoop, around.now, around.reporter);
        return Err(DropReason::RelayLoop);
    }
    if port.admits(name, source, evidence, around.now, around.reporter) {
        Ok(())
    } else {
        Err(DropReason::UnknownSource)
    }
}

#[inline]
fn relay_rtp(
    out: &mut Side,
    packet: &mut PacketBuf<'_>,
    header: &RtpHeader,
) -> Result<SocketAddr, DropReason> {
    if let Some(reason) = out.barred {
        return Err(reason);
    }
    let destination = out.rtp.destination.ok_or(DropReason::NoDestination)?;
    if let Some(sender) = &mut out.sender {
        sender.protect_rtp(packet, header)?;
    }
    out.totals.sent_packets += 1;
    Ok(destination)
}

/// Relays RTCP, also to a leg on hold (RFC 3264 §5.1).
fn relay_rtcp(
    out: &mut Side,
    component: Component,
    packet: &mut PacketBuf<'_>,
    ssrc: u32,
) -> Result<SocketAddr, DropReason> {
    let port = out.port(component);
    if port.loops {
        return Err(DropReason::RelayLoop);
    }
    let destination = port.destination.ok_or(DropReason::NoDestination)?;
    if let Some(sender) = &mut out.sender {
        sender.protect_rtcp(packet, ssrc)?;
    }
    Ok(destination)
}
