//! Packets by `recvmmsg` and `sendmmsg`: some of one socket, then some of the next.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use relay_core::{PacketBuf, PacketKind, PortId};

use crate::address::RawAddress;
use crate::port::{Way, is_lasting};
use crate::socket::checked;
use crate::worker::{READ_BYTES, ROOM_BYTES, Shared, State};

/// How many datagrams one socket gives in one turn: a loud one cannot starve the others.
pub(crate) const SOCKET_PACKETS: usize = 4;

/// Room for what one socket gives in one turn, and the headers by which the kernel fills and
/// empties it. The headers point into the other boxes, which never move.
pub(crate) struct Batch {
    rooms: Box<[[u8; ROOM_BYTES]; SOCKET_PACKETS]>,
    addresses: Box<[RawAddress; SOCKET_PACKETS]>,
    vectors: Box<[libc::iovec; SOCKET_PACKETS]>,
    headers: Box<[libc::mmsghdr; SOCKET_PACKETS]>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: these C structures are valid when all zero.
        let (vectors, headers) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self {
            rooms: Box::new([[0; ROOM_BYTES]; SOCKET_PACKETS]),
            addresses: Box::new([RawAddress::empty(); SOCKET_PACKETS]),
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
        for index in 0..SOCKET_PACKETS {
            self.addresses[index] = RawAddress::empty();
            self.describe(index, index, READ_BYTES, true);
        }
        // SAFETY: every header describes room of its own that lives as long as `self`.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                self.headers.as_mut_ptr(),
                SOCKET_PACKETS as libc::c_uint,
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

/// Relays what one ready socket gives; says whether it may have more.
pub(crate) fn serve(
    state: &mut State,
    shared: &Shared,
    batch: &mut Batch,
    (port, generation): (PortId, u32),
    now: u64,
) -> bool {
    let Some(socket) = state.socket(port, generation) else { return false };
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
    received == SOCKET_PACKETS
}

/// What waits to leave by one socket: the first headers of the batch.
struct Leaving {
    way: Way,
    port: PortId,
    kinds: [PacketKind; SOCKET_PACKETS],
    count: usize,
}

impl Default for Leaving {
    fn default() -> Self {
        let way = Way { fd: -1, generation: 0, connected: false };
        Self { way, port: PortId(0), kinds: [PacketKind::Other; SOCKET_PACKETS], count: 0 }
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
                    // What is left of the batch has lost its way too.
                    state.part(leaving.port);
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
