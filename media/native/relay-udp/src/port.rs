//! The sockets behind one port: the one that is bound, and beside it, once the leg is learned, one
//! that is connected to the leg.
//!
//! The kernel looks up no route for what a connected socket sends, and gives it the leg's packets
//! alone: a stranger who floods the port fills the queue of the first socket and not the leg's.
//! The second one decides nothing. The brain is told of every packet and its source, by whichever
//! it came; what cannot leave by the second leaves by the first.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use relay_core::{Component, PortId};

use crate::socket::{self, Buffers};

/// One socket, and what the kernel knows it by.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    /// Tells this socket from others that the same port had or has.
    pub(crate) generation: u32,
    /// Whether a multishot receive is under way on it (io_uring only).
    pub(crate) armed: bool,
    /// How many of the kernel's drops are counted already.
    queue_drops: u32,
}

impl Socket {
    const fn new(fd: OwnedFd, generation: u32) -> Self {
        Self { fd, generation, armed: false, queue_drops: 0 }
    }

    /// How many datagrams the kernel dropped for want of room since this was asked last.
    fn take_queue_drops(&mut self) -> u32 {
        let total = socket::queue_drops(self.fd.as_raw_fd());
        total.wrapping_sub(mem::replace(&mut self.queue_drops, total))
    }
}

/// The sockets of one port.
#[derive(Debug)]
pub(crate) struct Port {
    first: Socket,
    beside: Option<Beside>,
    /// Where the last packet came from that was relayed.
    heard: Option<SocketAddr>,
    /// Whether a second socket is no longer tried: there was one, and the way to the leg failed.
    alone: bool,
}

#[derive(Debug)]
struct Beside {
    socket: Socket,
    peer: SocketAddr,
}

/// By which socket a packet leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) fd: RawFd,
    pub(crate) generation: u32,
    /// Whether the socket knows where to.
    pub(crate) connected: bool,
}

/// First sockets have even generations, second ones the odd generation after their first.
pub(crate) const GENERATION_STEP: u32 = 2;

/// Whether a generation is one of a second socket.
pub(crate) const fn is_second(generation: u32) -> bool {
    generation & 1 == 1
}

impl Port {
    /// A port with its bound socket.
    pub(crate) const fn new(fd: OwnedFd, generation: u32) -> Self {
        let first = Socket::new(fd, generation);
        Self { first, beside: None, heard: None, alone: false }
    }

    /// The socket of that generation, if the port has it.
    #[inline]
    pub(crate) fn socket(&mut self, generation: u32) -> Option<&mut Socket> {
        if self.first.generation == generation {
            return Some(&mut self.first);
        }
        let beside = self.beside.as_mut().map(|beside| &mut beside.socket);
        beside.filter(|socket| socket.generation == generation)
    }

    /// The bound socket.
    pub(crate) fn first(&self) -> RawFd {
        self.first.fd.as_raw_fd()
    }

    /// Notes where a packet came from that was relayed.
    #[inline]
    pub(crate) fn note_heard(&mut self, source: SocketAddr) {
        if self.heard != Some(source) {
            self.heard = Some(source);
        }
    }

    /// By which socket a packet to `destination` leaves.
    #[inline]
    pub(crate) fn way_to(&self, destination: SocketAddr) -> Way {
        match &self.beside {
            Some(Beside { socket, peer }) if *peer == destination => {
                Way { fd: socket.fd.as_raw_fd(), generation: socket.generation, connected: true }
            }
            _ => Way { fd: self.first(), generation: self.first.generation, connected: false },
        }
    }

    /// Whether a socket connected to `destination` is still missing: packets come from there and
    /// go there. Reports of reception are too rare for one of their own.
    #[inline]
    pub(crate) fn wants(&self, port: PortId, destination: SocketAddr) -> bool {
        self.heard == Some(destination) && !self.alone && port.component() == Component::Rtp
    }

    /// Connects the second socket to the leg, opened if there is none: then it is returned.
    ///
    /// Where the system refuses, the port goes on with its first socket.
    pub(crate) fn accompany(&mut self, buffers: Buffers) -> Option<&mut Socket> {
        let peer = self.heard?;
        if let Some(beside) = &mut self.beside {
            // Where that fails, it goes on to hear the one that it knows.
            let moved = socket::connect(beside.socket.fd.as_raw_fd(), peer);
            self.alone = moved.is_err();
            beside.peer = if moved.is_ok() { peer } else { beside.peer };
            return None;
        }
        let Ok(fd) = open_beside(self.first(), peer, buffers) else {
            self.alone = true;
            return None;
        };
        let socket = Socket::new(fd, self.first.generation | 1);
        Some(&mut self.beside.insert(Beside { socket, peer }).socket)
    }

    /// Gives up the second socket for good.
    pub(crate) fn part(&mut self) -> Option<Socket> {
        self.alone = true;
        self.beside.take().map(|beside| beside.socket)
    }

    /// How many datagrams the kernel dropped for want of room since this was asked last.
    pub(crate) fn take_queue_drops(&mut self) -> u64 {
        let beside = self.beside.as_mut().map(|beside| &mut beside.socket);
        [Some(&mut self.first), beside]
            .into_iter()
            .flatten()
            .map(|socket| u64::from(socket.take_queue_drops()))
            .sum()
    }

    /// Changes the DSCP of what the port sends; a system that refuses sends on as before.
    pub(crate) fn mark(&self, ipv6: bool, dscp: u8) {
        for fd in [Some(&self.first.fd), self.beside.as_ref().map(|beside| &beside.socket.fd)] {
            let _ = fd.map(|fd| socket::mark(fd.as_raw_fd(), ipv6, dscp));
        }
    }

    /// Its sockets, to be closed.
    pub(crate) fn into_sockets(self) -> impl Iterator<Item = Socket> {
        [Some(self.first), self.beside.map(|beside| beside.socket)].into_iter().flatten()
    }
}

/// Opens a socket on the address of `first`, connected to `peer`.
///
/// The address is shared for as long as it takes to bind: before and after, nobody else can have
/// it.
fn open_beside(first: RawFd, peer: SocketAddr, buffers: Buffers) -> io::Result<OwnedFd> {
    socket::share(first, true)?;
    let opened = bind_beside(first, peer, buffers);
    socket::share(first, false)?;
    opened
}

fn bind_beside(first: RawFd, peer: SocketAddr, buffers: Buffers) -> io::Result<OwnedFd> {
    let local = socket::local_address(first)?;
    let opened = socket::open_like(first, peer.is_ipv6())?;
    let fd = opened.as_raw_fd();
    buffers.apply(&opened)?;
    socket::share(fd, true)?;
    socket::bind(fd, &local)?;
    socket::connect(fd, peer)?;
    socket::share(fd, false)?;
    Ok(opened)
}

/// Whether a refused send says something of the way to the leg, and not of a moment's congestion.
pub(crate) const fn is_lasting(error: i32) -> bool {
    !matches!(error, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR)
}
