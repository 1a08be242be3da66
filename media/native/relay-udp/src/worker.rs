//! What one worker thread and the thread of signalling share.
//!
//! The worker holds the lock while it works through a batch, some hundred microseconds at most;
//! signalling opens, changes, closes and asks in between. So a command is done when its call
//! returns, and costs no wake-up where the tier allows it.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use relay_core::{
    Nanoseconds, PacketBuf, PacketKind, PortId, Relay, StreamKey, TAIL_ROOM_BYTES, Verdict,
};

use crate::address::RawAddress;
use crate::events::{Events, StreamEvent};
use crate::notice::Notice;
use crate::port::{Port, Socket, Way};
use crate::socket::{self, Buffers};

/// How much of a datagram is read: one byte more than the brain takes, to tell what is longer.
pub(crate) const READ_BYTES: usize = 2048 + 1;
/// Room for one datagram and what protection adds to it.
pub(crate) const ROOM_BYTES: usize = READ_BYTES + TAIL_ROOM_BYTES;
/// How often silence, keep-alives and key errors are looked at.
pub(crate) const TICK_NS: u64 = 1_000_000_000;
/// Generations are told apart by so many bits, in what the kernel carries for us.
pub(crate) const GENERATION_MASK: u32 = 0x00FF_FFFF;

/// Work that only the worker's own thread can do (io_uring only).
#[derive(Debug)]
pub(crate) enum Chore {
    /// Begin to receive.
    Arm { port: PortId, generation: u32 },
    /// Stop receiving, then close the socket.
    Retire { port: PortId, old: Socket },
}

/// A packet that shall leave.
pub(crate) struct Departure {
    pub(crate) port: PortId,
    pub(crate) way: Way,
    pub(crate) destination: SocketAddr,
    pub(crate) kind: PacketKind,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) relay: Relay,
    ports: Vec<Option<Port>>,
    /// The stream by its slot, and its number.
    numbers: Vec<(StreamKey, u64)>,
    pub(crate) chores: Vec<Chore>,
    /// Ports whose leg is learned and whose second socket is not connected to it yet.
    learned: Vec<PortId>,
    buffers: Buffers,
    /// Whether the worker has a ring, and sockets are its to close.
    pub(crate) ring: bool,
    /// Sockets that wait for the worker to close them.
    pub(crate) retiring: usize,
    pub(crate) stop: bool,
    pub(crate) dead: bool,
    outgoing: Vec<StreamEvent>,
}

impl State {
    fn new(relay: Relay, buffers: Buffers) -> Self {
        Self {
            relay,
            ports: Vec::new(),
            numbers: Vec::new(),
            chores: Vec::new(),
            learned: Vec::new(),
            buffers,
            ring: false,
            retiring: 0,
            stop: false,
            dead: false,
            outgoing: Vec::new(),
        }
    }

    /// Puts a socket behind a port and returns the one that was there.
    pub(crate) fn attach(&mut self, port: PortId, opened: Port) -> Option<Port> {
        self.count_queue_drops(port);
        let index = port.0 as usize;
        if self.ports.len() <= index {
            self.ports.resize_with(index + 1, || None);
        }
        self.ports[index].replace(opened)
    }

    pub(crate) fn detach(&mut self, port: PortId) -> Option<Port> {
        self.ports.get_mut(port.0 as usize)?.take()
    }

    /// Notes by which number signalling knows a stream.
    pub(crate) fn name_slot(&mut self, stream: StreamKey, number: u64) {
        let index = stream.slot as usize;
        if self.numbers.len() <= index {
            self.numbers.resize(index + 1, (stream, number));
        }
        self.numbers[index] = (stream, number);
    }

    /// Changes the DSCP of what a port sends; a system that refuses sends on as before.
    pub(crate) fn mark(&self, port: PortId, ipv6: bool, dscp: u8) {
        if let Some(Some(open)) = self.ports.get(port.0 as usize) {
            open.mark(ipv6, dscp);
        }
    }

    #[inline]
    fn port(&mut self, port: PortId) -> Option<&mut Port> {
        self.ports.get_mut(port.0 as usize)?.as_mut()
    }

    /// The socket of a port, if the port still has the one of that generation.
    #[inline]
    pub(crate) fn socket(&mut self, port: PortId, generation: u32) -> Option<&mut Socket> {
        self.port(port)?.socket(generation)
    }

    /// Connects second sockets to legs that were learned; `begin` begins to receive on new ones,
    /// and those on which it cannot are given up.
    pub(crate) fn accompany(
        &mut self,
        mut begin: impl FnMut(PortId, &mut Socket) -> io::Result<()>,
    ) {
        for port in mem::take(&mut self.learned) {
            let buffers = self.buffers;
            let opened = self.port(port).and_then(|open| open.accompany(buffers));
            if opened.is_some_and(|opened| begin(port, opened).is_err()) {
                self.part(port);
            }
        }
    }

    /// Gives up the second socket of a port.
    pub(crate) fn part(&mut self, port: PortId) {
        self.count_queue_drops(port);
        if let Some(old) = self.port(port).and_then(Port::part) {
            self.retire(port, old);
        }
    }

    /// Closes a socket, by the worker where a receive or a send may be under way on it.
    pub(crate) fn retire(&mut self, port: PortId, old: Socket) {
        if self.ring {
            self.retiring += 1;
            self.chores.push(Chore::Retire { port, old });
        }
    }

    /// Tells the brain what the kernel dropped because nobody read a port's queues in time.
    pub(crate) fn count_queue_drops(&mut self, port: PortId) {
        let dropped = self.port(port).map_or(0, Port::take_queue_drops);
        if dropped > 0 {
            self.relay.count_queue_full(port, dropped);
        }
    }

    /// Takes one datagram through the brain.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        port: PortId,
        source: SocketAddr,
        packet: &mut PacketBuf<'_>,
        now: Nanoseconds,
    ) -> Option<Departure> {
        let Verdict::Forward { port: out, destination, kind } =
            self.relay.receive(port, source, packet, now)
        else {
            return None;
        };
        self.port(port)?.note_heard(source);
        let leaving = self.port(out)?;
        let way = leaving.way_to(destination);
        if !way.connected && leaving.wants(out, destination) && !self.learned.contains(&out) {
            self.learned.push(out);
        }
        Some(Departure { port: out, way, destination, kind })
    }

    /// Sends the openers that are due.
    pub(crate) fn send_openers(&mut self) {
        while let Some(opener) = self.relay.next_opener() {
            // Nothing was promised to anybody: the first real packet will say more.
            self.send(opener.port, b"", opener.destination);
        }
    }

    /// Sends one datagram from a port; what the system does not take is lost, as any may be.
    pub(crate) fn send(&self, port: PortId, data: &[u8], destination: SocketAddr) {
        if let Some(Some(from)) = self.ports.get(port.0 as usize) {
            let _ = socket::send(from.first(), data, &RawAddress::from(destination));
        }
    }

    /// Hands over what the brain has to report.
    pub(crate) fn report(&mut self, events: &Events) {
        while let Some(event) = self.relay.next_event() {
            let stream = event.stream();
            let named = self.numbers.get(stream.slot as usize).filter(|(key, _)| *key == stream);
            if let Some((_, number)) = named {
                self.outgoing.push(StreamEvent { stream: *number, event });
            }
        }
        events.push(&mut self.outgoing);
        self.relay.note_waiting_handshakes(events.handshakes());
    }

    /// What is looked at once a second.
    pub(crate) fn tick(&mut self, now: Nanoseconds) {
        self.relay.tick(now);
        self.send_openers();
    }

    pub(crate) fn close_all(&mut self) {
        self.ports.clear();
        self.chores.clear();
        self.retiring = 0;
    }

    pub(crate) fn take_chores(&mut self) -> Vec<Chore> {
        mem::take(&mut self.chores)
    }
}

/// One worker as both threads see it.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rung when `retiring` fell to zero, and when the worker died.
    pub(crate) settled: Condvar,
    pub(crate) wake: Notice,
    pub(crate) events: Arc<Events>,
}

/// The lock is poisoned: the worker died while it held it.
#[derive(Debug)]
pub(crate) struct Poisoned;

impl Shared {
    pub(crate) fn new(relay: Relay, events: Arc<Events>, buffers: Buffers) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State::new(relay, buffers)),
            settled: Condvar::new(),
            wake: Notice::new()?,
            events,
        })
    }

    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, State>, Poisoned> {
        self.state.lock().map_err(|_| Poisoned)
    }

    /// The state whatever happened, for the one who cleans up.
    pub(crate) fn lock_anyway(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits until the worker has closed every socket that it was told to.
    pub(crate) fn wait_settled(&self) -> Result<(), Poisoned> {
        let mut state = self.lock()?;
        while state.retiring > 0 && !state.dead {
            state = self.settled.wait(state).map_err(|_| Poisoned)?;
        }
        if state.dead { Err(Poisoned) } else { Ok(()) }
    }
}
