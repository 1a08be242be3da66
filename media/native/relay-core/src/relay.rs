//! The relay of one worker: its streams, what comes in and what goes out.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::buffer::PacketBuf;
use crate::counters::{LatchReport, SideCounters};
use crate::event::Event;
use crate::moment::moment;
use crate::moving::StreamState;
use crate::own::OwnPorts;
use crate::packet::PacketKind;
use crate::plan::{PlanError, StreamPlan};
use crate::port::Port;
use crate::reporter::Reporter;
use crate::stream::{Stream, StreamChange, Surroundings};
use crate::types::{DropReason, Nanoseconds, PortId, SideName, StreamKey};

/// What bounds the memory of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most streams, and one more than the highest slot.
    pub streams: u32,
    /// Most events that wait to be fetched; the oldest go when there are more.
    pub events: usize,
    /// STUN and DTLS datagrams handed up per source and second.
    pub handshakes_per_s: u32,
}

/// Every port of every slot must have a number.
const MAX_SLOTS: u32 = u32::MAX / 4;

impl Default for Limits {
    fn default() -> Self {
        Self { streams: 10_000, events: 10_000, handshakes_per_s: 50 }
    }
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send what the packet buffer holds now.
    Forward {
        /// The port to send from.
        port: PortId,
        /// Where to.
        destination: SocketAddr,
        /// What it is, for `Relay::send_failed`.
        kind: PacketKind,
    },
    /// Forget it; it is counted.
    Drop(DropReason),
    /// It was STUN or DTLS and is handed up as `Event::Handshake`; nothing more to do.
    Handshake,
}

/// An empty datagram to be sent so that a pinhole opens or stays open.
///
/// It uses no sequence number or SRTP index and is no sound. Spec: RFC 6263 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opener {
    /// The port to send from.
    pub port: PortId,
    /// Where to.
    pub destination: SocketAddr,
}

/// Relays the streams it was told of between their two sides. One per worker.
///
/// Whatever arrives, whenever: no stream ends by it, nothing panics, no memory grows without
/// bound, and the packet path allocates nothing but SSRC records (64 per key) and events.
pub struct Relay {
    streams: Vec<Option<Box<Stream>>>,
    open: usize,
    limits: Limits,
    own: OwnPorts,
    reporter: Reporter,
    openers: VecDeque<Opener>,
}

impl Relay {
    /// A relay without streams that knows no other worker's ports.
    ///
    /// `seed` is entropy; it keeps strangers from choosing which of them share a rate limit.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self::sharing(limits, seed, OwnPorts::new())
    }

    /// As `new`, one of several relays that know each other's ports by `own`.
    pub fn sharing(limits: Limits, seed: u64, own: OwnPorts) -> Self {
        Self {
            streams: Vec::new(),
            open: 0,
            limits,
            own,
            reporter: Reporter::new(limits.events, limits.handshakes_per_s, seed),
            openers: VecDeque::new(),
        }
    }

    /// Begins to relay a stream. Openers that are due wait in `next_opener`.
    ///
    /// # Errors
    /// As `StreamPlan::check`; or the slot is taken, or there are too many streams.
    pub fn open(
        &mut self,
        stream: StreamKey,
        plan: &StreamPlan,
        now: Nanoseconds,
    ) -> Result<(), PlanError> {
        self.check_slot(stream)?;
        let change = StreamChange::prepare(plan, None)?;
        let mut opened = Box::new(Stream::new(stream, plan));
        opened.adopt(plan, change, &self.own, moment(now));
        opened.expect(moment(now), &mut |opener| self.openers.push_back(opener));
        self.begin(opened);
        Ok(())
    }

    /// Takes over a whole new plan for an open stream.
    ///
    /// What stays equal goes on without a gap: SRTP state while its keys are the same, the latch
    /// while nothing it was learned by changed.
    ///
    /// # Errors
    /// As `StreamPlan::check`; or it is not open.
    pub fn update(
        &mut self,
        stream: StreamKey,
        plan: &StreamPlan,
        now: Nanoseconds,
    ) -> Result<(), PlanError> {
        let known = known_mut(&mut self.streams, stream).ok_or(PlanError::NotOpen)?;
        let change = StreamChange::prepare(plan, Some(known))?;
        known.adopt(plan, change, &self.own, moment(now));
        known.expect(moment(now), &mut |opener| self.openers.push_back(opener));
        Ok(())
    }

    /// Ends a stream at once, with its waiting openers; `false` when it was not open.
    ///
    /// Its events stay: they tell what happened before.
    pub fn close(&mut self, stream: StreamKey) -> bool {
        let Some(known) = known_mut(&mut self.streams, stream) else {
            return false;
        };
        known.withdraw(&self.own);
        self.openers.retain(|opener| opener.port.slot() != stream.slot);
        if let Some(place) = self.streams.get_mut(stream.slot as usize) {
            *place = None;
        }
        self.open -= 1;
        true
    }

    /// Takes one datagram through: demux, proof, latch, limit, count, relay.
    ///
    /// The packet is opened and protected in place; only after `Forward` its bytes mean anything.
    /// The relay counts what it forwards as sent; say so by `send_failed` when it was not. A
    /// datagram for a port that is not open is dropped and counted nowhere.
    #[inline]
    pub fn receive(
        &mut self,
        port: PortId,
        source: SocketAddr,
        packet: &mut PacketBuf<'_>,
        now: Nanoseconds,
    ) -> Verdict {
        let Some(Some(stream)) = self.streams.get_mut(port.slot() as usize) else {
            return Verdict::Drop(DropReason::UnknownSource);
        };
        let (own, reporter) = (&self.own, &mut self.reporter);
        let mut around = Surroundings { own, reporter, now: moment(now) };
        stream.receive_untrusted(port, source, packet, &mut around)
    }

    /// Brings what the next packet at this port will need toward the processor's cache.
    ///
    /// Of use when called for packet n + 1 of a batch before `receive` of packet n. Changes
    /// nothing.
    #[inline]
    pub fn warm(&self, port: PortId) {
        if let Some(Some(stream)) = self.streams.get(port.slot() as usize) {
            stream.warm(port.side());
        }
    }

    /// Takes back that a forwarded packet was sent: the operating system refused it.
    ///
    /// `port` and `kind` are those of `Verdict::Forward`.
    pub fn send_failed(&mut self, port: PortId, kind: PacketKind) {
        if let Some(Some(stream)) = self.streams.get_mut(port.slot() as usize) {
            stream.send_failed(port.side(), kind);
        }
    }

    /// Counts datagrams for a port that the kernel dropped before anybody read them.
    pub fn count_queue_full(&mut self, port: PortId, datagrams: u64) {
        if let Some(Some(stream)) = self.streams.get_mut(port.slot() as usize) {
            stream.count_queue_full(port.side(), datagrams);
        }
    }

    /// Looks at silence, openers, key errors and loss intervals; to be called once a second.
    pub fn tick(&mut self, now: Nanoseconds) {
        for stream in self.streams.iter_mut().flatten() {
            stream.look(moment(now), &mut self.reporter, &mut |opener| {
                self.openers.push_back(opener);
            });
        }
    }

    /// The oldest event that waits.
    pub fn next_event(&mut self) -> Option<Event> {
        self.reporter.next()
    }

    /// Whether events wait.
    pub fn has_events(&self) -> bool {
        !self.reporter.is_empty()
    }

    /// Says how many handshakes that were fetched as events still wait for somebody to see to them:
    /// they count among those that may wait.
    pub const fn note_waiting_handshakes(&mut self, handshakes: usize) {
        self.reporter.note_fetched(handshakes);
    }

    /// How many events were lost because nobody fetched them.
    pub const fn lost_events(&self) -> u64 {
        self.reporter.lost()
    }

    /// The next opener to send; look after `open`, `update` and `tick`.
    pub fn next_opener(&mut self) -> Option<Opener> {
        self.openers.pop_front()
    }

    /// What was counted on sides A and B; `None` when the stream is not open.
    pub fn counters(&self, stream: StreamKey) -> Option<[SideCounters; 2]> {
        Some(self.known(stream)?.counters())
    }

    /// What is learned on the ports, by side and component; `None` when it is not open.
    pub fn latches(&self, stream: StreamKey) -> Option<[[LatchReport; 2]; 2]> {
        let stream = self.known(stream)?;
        let (a, b) = (stream.side(SideName::A), stream.side(SideName::B));
        Some([[latched(&a.rtp), latched(&a.rtcp)], [latched(&b.rtp), latched(&b.rtcp)]])
    }

    /// How many streams are open.
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether no stream is open.
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// The running state of a stream: latches, rollover counters, replay windows, counters.
    ///
    /// The stream goes on; close it when another relay is to continue it, or two would use one
    /// key stream twice.
    pub fn export(&self, stream: StreamKey, now: Nanoseconds) -> Option<StreamState> {
        Some(self.known(stream)?.export(moment(now)))
    }

    /// Opens a stream that another relay exported, and continues it without a gap.
    ///
    /// # Errors
    /// As `open`; or the state was exported under other keys than those of the plan.
    pub fn restore(
        &mut self,
        stream: StreamKey,
        plan: &StreamPlan,
        state: &StreamState,
        now: Nanoseconds,
    ) -> Result<(), PlanError> {
        self.check_slot(stream)?;
        let mut opened = Box::new(Stream::restored(stream, plan, state, moment(now))?);
        opened.announce(&self.own);
        self.begin(opened);
        Ok(())
    }

    fn check_slot(&self, stream: StreamKey) -> Result<(), PlanError> {
        if stream.slot >= self.limits.streams.min(MAX_SLOTS) {
            return Err(PlanError::TooManyStreams);
        }
        match self.streams.get(stream.slot as usize) {
            Some(Some(_)) => Err(PlanError::AlreadyOpen),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, stream: Box<Stream>) {
        let slot = stream.key.slot as usize;
        if self.streams.len() <= slot {
            self.streams.resize_with(slot + 1, || None);
        }
        self.streams[slot] = Some(stream);
        self.open += 1;
    }

    fn known(&self, stream: StreamKey) -> Option<&Stream> {
        let known = self.streams.get(stream.slot as usize)?.as_deref()?;
        (known.key == stream).then_some(known)
    }
}

fn known_mut(streams: &mut [Option<Box<Stream>>], stream: StreamKey) -> Option<&mut Stream> {
    let known = streams.get_mut(stream.slot as usize)?.as_deref_mut()?;
    (known.key == stream).then_some(known)
}

fn latched(port: &Port) -> LatchReport {
    LatchReport { source: port.latch.source, rank: port.latch.rank, destination: port.destination }
}
