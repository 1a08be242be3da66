//! The tier that every Linux allows: epoll, recvmmsg, sendmmsg.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use relay_core::{PacketBuf, PacketKind, PortId};

use crate::address::RawAddress;
use crate::notice::now_ns;
use crate::port::{Way, is_lasting};
use crate::socket::checked;
use crate::worker::{GENERATION_MASK, READ_BYTES, ROOM_BYTES, Shared, State, TICK_NS};

/// How many ready ports one turn serves.
const TURN_PORTS: usize = 64;
/// How many datagrams one port gives in one turn: a loud one cannot starve the others.
const PORT_PACKETS: usize = 4;
/// What the kernel carries for the wake-up, which is no port.
const WAKE: u64 = u64::MAX;

/// An epoll object that both threads may change.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new(wake: RawFd) -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and nobody else's.
        let epoll = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        epoll.add(wake, WAKE)?;
        Ok(epoll)
    }

    /// Watches a port's socket; closing the socket ends it.
    pub(crate) fn watch(&self, socket: &OwnedFd, port: PortId, generation: u32) -> io::Result<()> {
        let name = u64::from(generation & GENERATION_MASK) << 32 | u64::from(port.0);
        self.add(socket.as_raw_fd(), name)
    }

    fn add(&self, fd: RawFd, name: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: name };
        // SAFETY: the pointer is to a local.
        checked(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event)
        })?;
        Ok(())
    }

    fn wait(&self, ready: &mut Vec<libc::epoll_event>, timeout_ms: i32) -> io::Result<()> {
        ready.clear();
        // SAFETY: the vector has room for as many events as are asked for.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                ready.as_mut_ptr(),
                TURN_PORTS as libc::c_int,
                timeout_ms,
            )
        };
        match checked(count) {
            Ok(count) => {
                // SAFETY: the kernel has written so many events.
                unsafe { ready.set_len(count as usize) };
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Room for what one port gives in one turn, and the headers by which the kernel fills and
/// empties it. The headers point into the other boxes, which never move.
struct Batch {
    rooms: Box<[[u8; ROOM_BYTES]; PORT_PACKETS]>,
    addresses: Box<[RawAddress; PORT_PACKETS]>,
    vectors: Box<[libc::iovec; PORT_PACKETS]>,
    headers: Box<[libc::mmsghdr; PORT_PACKETS]>,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: these C structures are valid when all zero.
        let (vectors, headers) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self {
            rooms: Box::new([[0; ROOM_BYTES]; PORT_PACKETS]),
            addresses: Box::new([RawAddress::empty(); PORT_PACKETS]),
            vectors: Box::new(vectors),
            headers: Box::new(headers),
        }
    }

    /// Points header `index` at packet `packet` of that many bytes, and at its address if it is
    /// `named`.
    fn describe(&mut self, index: usize, packet: usize, bytes: usize, named: bool) {
        let address = &mut self.addresses[packet];
        self.vectors[index] =
            libc::iovec { iov_base: self.rooms[packet].as_mut_ptr().cast(), iov_len: bytes };
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = if named { address.as_mut_ptr().cast() } else { ptr::null_mut() };
        header.msg_namelen = if named { address.len() } else { 0 };
        header.msg_iov = &raw mut self.vectors[index];
        header.msg_iovlen = 1;
        header.msg_flags = 0;
    }

    fn receive(&mut self, fd: RawFd) -> usize {
        for index in 0..PORT_PACKETS {
            self.addresses[index] = RawAddress::empty();
            self.describe(index, index, READ_BYTES, true);
        }
        // SAFETY: every header describes room of its own that lives as long as `self`.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                PORT_PACKETS as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        // A failure is a wake-up without a datagram, for example after a wrong UDP checksum.
        count.max(0) as usize
    }

    /// Sends the headers from one on; says how many the system took before it refused one.
    fn send(&mut self, fd: RawFd, from: usize, count: usize) -> io::Result<usize> {
        // SAFETY: every header describes a packet and an address of this batch.
        let sent = unsafe {
            libc::sendmmsg(
                fd,
                self.headers[from..].as_mut_ptr(),
                (count - from) as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        checked(sent).map(|sent| sent as usize)
    }
}

/// Relays until told to stop.
pub(crate) fn run(epoll: &Epoll, shared: &Shared) -> io::Result<()> {
    let mut ready = Vec::with_capacity(TURN_PORTS);
    let mut batch = Batch::new();
    let mut tick_at = now_ns() + TICK_NS;
    loop {
        let until_tick = tick_at.saturating_sub(now_ns());
        epoll.wait(&mut ready, until_tick.div_ceil(1_000_000) as i32)?;
        let now = now_ns();
        let Ok(mut state) = shared.lock() else {
            return Err(io::Error::other("the other thread failed"));
        };
        if state.stop {
            return Ok(());
        }
        for (place, event) in ready.iter().enumerate() {
            if let Some(next) = ready.get(place + 1) {
                // Of the wake-up the lower half is no port that exists.
                state.relay.warm(PortId(next.u64 as u32));
            }
            let name = event.u64;
            if name == WAKE {
                shared.wake.hush();
            } else {
                serve(&mut state, shared, &mut batch, name, now);
            }
        }
        state.accompany(|port, opened| epoll.watch(&opened.fd, port, opened.generation));
        if now >= tick_at {
            state.tick(now);
            tick_at = now + TICK_NS;
        }
        state.report(&shared.events);
    }
}

/// Relays what one ready port gives.
fn serve(state: &mut State, shared: &Shared, batch: &mut Batch, name: u64, now: u64) {
    let port = PortId(name as u32);
    let Some(socket) = state.socket(port, (name >> 32) as u32) else { return };
    let fd = socket.fd.as_raw_fd();
    let received = batch.receive(fd);
    let mut leaving = Leaving::default();
    for packet in 0..received {
        let bytes = batch.headers[packet].msg_len as usize;
        let Some(source) = batch.addresses[packet].decode() else { continue };
        let mut room = PacketBuf::new(&mut batch.rooms[packet], bytes);
        let Some(departure) = state.receive(port, source, &mut room, now) else { continue };
        let bytes = room.len();
        if leaving.count > 0 && leaving.way.fd != departure.way.fd {
            flush(state, shared, batch, &mut leaving);
        }
        (leaving.way, leaving.port) = (departure.way, departure.port);
        batch.addresses[packet] = RawAddress::from(departure.destination);
        // There is never more that leaves than was received, so no header is still needed.
        batch.describe(leaving.count, packet, bytes, !departure.way.connected);
        leaving.kinds[leaving.count] = departure.kind;
        leaving.count += 1;
    }
    flush(state, shared, batch, &mut leaving);
}

/// What waits to leave by one socket: the first headers of the batch.
struct Leaving {
    way: Way,
    port: PortId,
    kinds: [PacketKind; PORT_PACKETS],
    count: usize,
}

impl Default for Leaving {
    fn default() -> Self {
        let way = Way { fd: -1, generation: 0, connected: false };
        Self { way, port: PortId(0), kinds: [PacketKind::Other; PORT_PACKETS], count: 0 }
    }
}

/// Sends what waits, and tells the brain what the system refuses.
fn flush(state: &mut State, shared: &Shared, batch: &mut Batch, leaving: &mut Leaving) {
    if state.relay.has_events() {
        // Whoever hears a packet can already know what was learned from it.
        state.report(&shared.events);
    }
    let mut done = 0;
    while done < leaving.count {
        match batch.send(leaving.way.fd, done, leaving.count) {
            Ok(sent) => done += sent,
            Err(error) => {
                state.relay.send_failed(leaving.port, leaving.kinds[done]);
                done += 1;
                if leaving.way.connected && is_lasting(error.raw_os_error().unwrap_or(0)) {
                    // Dropped, it is closed. What is left of the batch has lost its way too.
                    drop(state.part(leaving.port));
                    for kind in &leaving.kinds[done..leaving.count] {
                        state.relay.send_failed(leaving.port, *kind);
                    }
                    break;
                }
            }
        }
    }
    leaving.count = 0;
}
