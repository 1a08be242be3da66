//! One file descriptor that becomes readable when there is something to look at.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::socket::checked;

/// An eventfd: any thread rings it, one thread waits for it.
#[derive(Debug)]
pub(crate) struct Notice(OwnedFd);

impl Notice {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let fd = checked(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes the descriptor readable. It can only fail by being readable 2^64 times over.
    pub(crate) fn ring(&self) {
        let one: u64 = 1;
        // SAFETY: eight bytes are read from a local.
        unsafe { libc::write(self.raw(), (&raw const one).cast(), 8) };
    }

    /// Makes the descriptor unreadable again.
    pub(crate) fn hush(&self) {
        let mut count: u64 = 0;
        // SAFETY: eight bytes are written to a local.
        unsafe { libc::read(self.raw(), (&raw mut count).cast(), 8) };
    }
}

/// Nanoseconds of the monotonic clock.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
