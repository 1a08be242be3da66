//! The tier that every Linux allows: epoll, recvmmsg, sendmmsg.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use relay_core::PortId;

use crate::batch::{Batch, serve};
use crate::notice::now_ns;
use crate::socket::checked;
use crate::worker::{GENERATION_MASK, Shared, TICK_NS};

/// How many ready ports one turn serves.
const TURN_PORTS: usize = 64;
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
                let socket = (PortId(name as u32), (name >> 32) as u32);
                // What it may have left, the next turn is told of.
                let _ = serve(&mut state, shared, &mut batch, socket, now);
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
