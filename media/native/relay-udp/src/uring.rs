//! The fast tier: io_uring with multishot receives, provided buffers and batched sends.
//!
//! One system call per turn hands over all packets that shall leave and fetches all that came.
//! Sends never wait (`MSG_DONTWAIT`), so they are over when the call returns and their buffers
//! are free again; only a send that failed says so.

mod proof;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::Flags;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use relay_core::{PacketBuf, PacketKind, PortId};

use crate::address::RawAddress;
use crate::batch::{Batch, serve};
use crate::buffers::{BUFFERS, Buffers, GROUP};
use crate::notice::{Notice, now_ns};
use crate::port::{Socket, is_lasting, is_second};
use crate::worker::{Chore, GENERATION_MASK, READ_BYTES, Shared, State, TICK_NS};

/// How many completions one turn works through before others may have the lock.
const TURN_PACKETS: usize = 256;
/// How many sockets whose receive has ended are read in one turn.
const TURN_SOCKETS: usize = 64;
/// How often a full queue is handed over for one more entry before the ring is given up.
const SUBMISSIONS: usize = 1000;
const ENTRIES: u32 = 512;
/// No more completions can wait than there are buffers and things beside packets.
const COMPLETIONS: u32 = 4 * BUFFERS as u32;

/// What a completion is about, in its upper eight bits; then 24 of generation and 32 of port.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Receive = 1,
    SendRtp = 2,
    SendRtcp = 3,
    Wake = 4,
    Cancel = 5,
}

fn name(kind: Kind, port: PortId, generation: u32) -> u64 {
    (kind as u64) << 56 | u64::from(generation & GENERATION_MASK) << 32 | u64::from(port.0)
}

/// One worker's ring. Must be made and used by one thread.
pub(crate) struct Uring {
    // Dropped before what the kernel may still write to.
    ring: IoUring,
    buffers: Buffers,
    /// Tells the kernel how much of a source we want; it keeps the pointer.
    message: Box<libc::msghdr>,
    /// Where this turn's packets go; room for every entry of the submission queue.
    destinations: Vec<RawAddress>,
    /// Buffers whose sends are handed over with the next call.
    leaving: Vec<u16>,
    /// Sockets to close as soon as their receive has ended, by the receive's name.
    ending: HashMap<u64, Socket>,
    /// Sockets to close as soon as nothing is queued that would leave by them.
    idle: Vec<Socket>,
    /// Sockets whose receive the kernel ended, mostly for want of a buffer.
    ended: VecDeque<(PortId, u32)>,
    /// For what those sockets hold.
    batch: Batch,
}

impl Uring {
    /// Relays until told to stop.
    pub(crate) fn run(&mut self, shared: &Shared) -> io::Result<()> {
        self.watch(&shared.wake)?;
        let mut tick_at = now_ns() + TICK_NS;
        let mut batch = Vec::with_capacity(TURN_PACKETS);
        loop {
            let waited_for = !self.ended.is_empty() || !self.idle.is_empty();
            self.enter(if waited_for { 0 } else { tick_at.saturating_sub(now_ns()) })?;
            self.take_back();
            self.take_completions(&mut batch);
            let now = now_ns();
            let Ok(mut state) = shared.lock() else {
                return Err(io::Error::other("the other thread failed"));
            };
            self.close_idle(&mut state, shared);
            if state.stop {
                return Ok(());
            }
            for (place, completion) in batch.iter().enumerate() {
                if let Some(next) = batch.get(place + 1) {
                    // Whatever it is about, the lower half is a port or nothing that exists.
                    state.relay.warm(PortId(next.user_data() as u32));
                }
                self.complete(&mut state, shared, completion, now)?;
            }
            batch.clear();
            self.relay_rest(&mut state, shared, now)?;
            state.accompany(|port, opened| self.begin(port, opened));
            if !state.chores.is_empty() {
                for chore in state.take_chores() {
                    self.work(&mut state, chore)?;
                }
            }
            if now >= tick_at {
                state.tick(now);
                tick_at = now + TICK_NS;
            }
            state.report(&shared.events);
            drop(state);
        }
    }

    /// Submits what is queued and waits until something has come, or the time is over.
    fn enter(&mut self, timeout_ns: u64) -> io::Result<bool> {
        self.buffers.publish();
        let timeout = Timespec::new()
            .sec(timeout_ns / 1_000_000_000)
            .nsec((timeout_ns % 1_000_000_000) as u32);
        let arguments = SubmitArgs::new().timespec(&timeout);
        match self.ring.submitter().submit_with_args(1, &arguments) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(false),
            Err(error) if is_passing(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Lends the kernel again the buffers of packets that have left.
    fn take_back(&mut self) {
        if self.leaving.is_empty() || !self.ring.submission().is_empty() {
            return;
        }
        for buffer in self.leaving.drain(..) {
            self.buffers.lend(buffer);
        }
        self.destinations.clear();
    }

    /// Submits what is queued in the middle of a turn. What there is to tell goes first: whoever
    /// hears a packet can already know what was learned from it.
    fn hand_over(&mut self, state: &mut State, shared: &Shared) -> io::Result<()> {
        state.report(&shared.events);
        self.submit()?;
        self.take_back();
        Ok(())
    }

    fn take_completions(&mut self, batch: &mut Vec<cqueue::Entry>) {
        batch.extend(self.ring.completion().take(TURN_PACKETS));
    }

    fn complete(
        &mut self,
        state: &mut State,
        shared: &Shared,
        completion: &cqueue::Entry,
        now: u64,
    ) -> io::Result<()> {
        let data = completion.user_data();
        let port = PortId(data as u32);
        let generation = (data >> 32) as u32 & GENERATION_MASK;
        match data >> 56 {
            kind if kind == Kind::Receive as u64 => {
                self.receive(state, shared, completion, port, generation, now)?;
                if !cqueue::more(completion.flags()) {
                    self.receive_ended(state, completion, port, generation);
                }
            }
            kind if kind == Kind::SendRtp as u64 => {
                send_failed(state, completion, port, generation, PacketKind::Rtp);
            }
            kind if kind == Kind::SendRtcp as u64 => {
                send_failed(state, completion, port, generation, PacketKind::Rtcp);
            }
            kind if kind == Kind::Wake as u64 => {
                shared.wake.hush();
                if !cqueue::more(completion.flags()) {
                    self.watch(&shared.wake)?;
                }
            }
            // A receive that a cancel ends says so itself; one that had ended before was told of
            // when nobody waited for it yet.
            _ if completion.result() == -libc::ENOENT => {
                self.idle.extend(self.ending.remove(&name(Kind::Receive, port, generation)));
            }
            _ => {}
        }
        Ok(())
    }

    fn receive(
        &mut self,
        state: &mut State,
        shared: &Shared,
        completion: &cqueue::Entry,
        port: PortId,
        generation: u32,
        now: u64,
    ) -> io::Result<()> {
        let Some(buffer) = cqueue::buffer_select(completion.flags()) else { return Ok(()) };
        let departure = match self.buffers.received(buffer, completion.result().max(0) as usize) {
            Some(received) if state.socket(port, generation).is_some() => {
                received.source.and_then(|source| {
                    let mut packet = PacketBuf::new(received.room, received.bytes);
                    let departure = state.receive(port, source, &mut packet, now)?;
                    let (start, bytes) = (packet.data().as_ptr(), packet.len());
                    Some((departure, start, bytes))
                })
            }
            _ => None,
        };
        let Some((departure, start, bytes)) = departure else {
            self.buffers.lend(buffer);
            return Ok(());
        };
        // SAFETY: the packet stays in its buffer, which is not lent before it has left.
        let packet = unsafe { std::slice::from_raw_parts(start, bytes) };
        if self.destinations.len() == self.destinations.capacity() {
            self.hand_over(state, shared)?;
        }
        if self.destinations.len() == self.destinations.capacity() {
            // The kernel takes no more for now. The room may not grow: what is queued points to it.
            state.relay.send_failed(departure.port, departure.kind);
            self.buffers.lend(buffer);
            return Ok(());
        }
        self.destinations.push(RawAddress::from(departure.destination));
        self.leaving.push(buffer);
        let rtp = departure.kind == PacketKind::Rtp;
        let kind = if rtp { Kind::SendRtp } else { Kind::SendRtcp };
        let way = departure.way;
        self.push_send(way.fd, packet, way.connected, name(kind, departure.port, way.generation))
    }

    /// Notes that a receive is over: its socket can be closed, or it must be begun again.
    fn receive_ended(
        &mut self,
        state: &mut State,
        completion: &cqueue::Entry,
        port: PortId,
        generation: u32,
    ) {
        if let Some(old) = self.ending.remove(&completion.user_data()) {
            self.idle.push(old);
        } else if let Some(open) = state.socket(port, generation) {
            open.armed = false;
            if is_second(generation) && is_fault(completion) {
                state.part(port);
            } else {
                self.ended.push_back((port, generation));
            }
        }
    }

    /// Closes sockets by which nothing leaves any more.
    fn close_idle(&mut self, state: &mut State, shared: &Shared) {
        if self.idle.is_empty() || !self.ring.submission().is_empty() {
            return;
        }
        for socket in self.idle.drain(..) {
            drop(socket);
            settle(state, shared);
        }
    }

    /// Relays some of what the sockets hold whose receive has ended, in turns, and begins to
    /// receive anew on those that are empty.
    ///
    /// Buffers run out when more comes than can be relayed. Receives that were begun at once would
    /// fight over the few that are free, and those that get none would end again and again, for
    /// seconds. So what is too much is read by the worker's own hand until there is no more of it.
    fn relay_rest(&mut self, state: &mut State, shared: &Shared, now: u64) -> io::Result<()> {
        if self.ended.is_empty() {
            return Ok(());
        }
        // What came before from the same sockets leaves before.
        self.hand_over(state, shared)?;
        for _ in 0..self.ended.len().min(TURN_SOCKETS) {
            let Some(socket) = self.ended.pop_front() else { break };
            if serve(state, shared, &mut self.batch, socket, now) {
                self.ended.push_back(socket);
            } else {
                let (port, generation) = socket;
                self.work(state, Chore::Arm { port, generation })?;
            }
        }
        Ok(())
    }

    fn work(&mut self, state: &mut State, chore: Chore) -> io::Result<()> {
        match chore {
            Chore::Arm { port, generation } => match state.socket(port, generation) {
                Some(open) => self.begin(port, open),
                None => Ok(()),
            },
            Chore::Retire { old, .. } if !old.armed => {
                self.idle.push(old);
                Ok(())
            }
            Chore::Retire { port, old } => {
                let data = name(Kind::Receive, port, old.generation);
                self.cancel(port, old.generation)?;
                self.ending.insert(data, old);
                Ok(())
            }
        }
    }

    /// Begins to receive on a socket.
    fn begin(&mut self, port: PortId, open: &mut Socket) -> io::Result<()> {
        if !open.armed {
            open.armed = true;
            self.arm(open.fd.as_raw_fd(), name(Kind::Receive, port, open.generation))?;
        }
        Ok(())
    }

    fn arm(&mut self, fd: RawFd, data: u64) -> io::Result<()> {
        let entry = opcode::RecvMsgMulti::new(Fd(fd), &raw const *self.message, GROUP)
            .build()
            .user_data(data);
        // SAFETY: the message lives as long as the ring.
        unsafe { self.push(&entry) }
    }

    fn cancel(&mut self, port: PortId, generation: u32) -> io::Result<()> {
        let receive = CancelBuilder::user_data(name(Kind::Receive, port, generation));
        let entry = opcode::AsyncCancel2::new(receive)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(name(Kind::Cancel, port, generation));
        // SAFETY: the entry holds no pointer.
        unsafe { self.push(&entry) }
    }

    fn watch(&mut self, wake: &Notice) -> io::Result<()> {
        let entry = opcode::PollAdd::new(Fd(wake.raw()), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data((Kind::Wake as u64) << 56);
        // SAFETY: the entry holds no pointer.
        unsafe { self.push(&entry) }
    }

    /// Queues a packet to where the socket is connected, or to the last of `destinations`.
    fn push_send(
        &mut self,
        fd: RawFd,
        packet: &[u8],
        connected: bool,
        data: u64,
    ) -> io::Result<()> {
        let mut send = opcode::Send::new(Fd(fd), packet.as_ptr(), packet.len() as u32)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        if !connected {
            let destination = &self.destinations[self.destinations.len() - 1];
            send = send.dest_addr(destination.as_ptr()).dest_addr_len(destination.len());
        }
        let entry = send.build().flags(Flags::SKIP_SUCCESS).user_data(data);
        // SAFETY: the packet's buffer is lent again, and the destinations are cleared, only when
        // the submission queue has been emptied; the vector never outgrows its first room.
        unsafe { self.push(&entry) }
    }

    /// Queues an entry; hands over what is queued when there is no room.
    ///
    /// # Safety
    ///
    /// What the entry points to must live until the kernel has taken it, or for as long as the
    /// operation says.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        for _ in 0..SUBMISSIONS {
            // SAFETY: promised by the caller.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
        Err(io::Error::other("the kernel takes no more requests"))
    }

    /// Submits what is queued, without waiting for anything.
    fn submit(&mut self) -> io::Result<()> {
        match self.ring.submit() {
            Err(error) if !is_passing(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether the kernel is only short of something for a moment.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

/// Tells the brain of a refused send, unless the stream has gone in the meantime.
fn send_failed(
    state: &mut State,
    completion: &cqueue::Entry,
    port: PortId,
    generation: u32,
    kind: PacketKind,
) {
    if state.socket(port, generation).is_none() {
        return;
    }
    state.relay.send_failed(port, kind);
    if is_second(generation) && is_fault(completion) {
        state.part(port);
    }
}

/// Whether a completion says that the way to the leg failed, and not that there is no buffer, that
/// the system is busy, or that it was told to end.
fn is_fault(completion: &cqueue::Entry) -> bool {
    let result = completion.result();
    result < 0 && result != -libc::ECANCELED && is_lasting(-result)
}

/// Notes that one more retired socket is closed.
fn settle(state: &mut State, shared: &Shared) {
    state.retiring -= 1;
    if state.retiring == 0 {
        shared.settled.notify_all();
    }
}

const _: () = assert!(TURN_PACKETS <= ENTRIES as usize && READ_BYTES < u16::MAX as usize);
