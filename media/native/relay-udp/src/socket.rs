//! One UDP socket: opened, marked, read and written without ever blocking.

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::address::RawAddress;

/// Kernel memory that each direction of a socket should have, as the kernel counts it (with its
/// overhead): some hundred small packets, seconds of one call's audio.
const BUFFER_BYTES: libc::c_int = 208 * 1024;

/// What the system would not give, and why.
#[derive(Debug)]
pub struct SocketRefused {
    local: SocketAddr,
    bound: bool,
    why: io::Error,
}

impl fmt::Display for SocketRefused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.bound { "cannot bind" } else { "no socket for" };
        write!(out, "{what} {}: {}", self.local, describe(&self.why))
    }
}

/// Opens a non-blocking socket on exactly `local`, which marks what it sends with a DSCP.
///
/// No address is shared: a port that another program holds is refused, never stolen.
///
/// Spec: RFC 2474 §3 (the DSCP is the upper six bits of the octet).
pub(crate) fn open(local: SocketAddr, dscp: u8) -> Result<OwnedFd, SocketRefused> {
    let refused = |bound| move |why| SocketRefused { local, bound, why };
    let family = if local.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes no pointer.
    let fd = checked(unsafe { libc::socket(family, kind, 0) }).map_err(refused(false))?;
    // SAFETY: the descriptor is new and nobody else's.
    let opened = unsafe { OwnedFd::from_raw_fd(fd) };
    prepare(fd, local, dscp).map_err(refused(true))?;
    Ok(opened)
}

fn prepare(fd: RawFd, local: SocketAddr, dscp: u8) -> io::Result<()> {
    if local.is_ipv6() {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    if dscp != 0 {
        mark(fd, local.is_ipv6(), dscp)?;
    }
    let address = RawAddress::from(local);
    // SAFETY: pointer and length describe one initialised address that outlives the call.
    checked(unsafe { libc::bind(fd, address.as_ptr(), address.len()) })?;
    Ok(())
}

/// Changes the DSCP of what a socket sends from now on.
pub(crate) fn mark(fd: RawFd, ipv6: bool, dscp: u8) -> io::Result<()> {
    let octet = libc::c_int::from(dscp) << 2;
    if ipv6 {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, octet)
    } else {
        set(fd, libc::IPPROTO_IP, libc::IP_TOS, octet)
    }
}

/// Sizes of socket buffers, found out once: the system's default is mostly enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffers {
    must_be_set: bool,
    /// What a socket really gets, in the kernel's count.
    pub(crate) granted: libc::c_int,
}

impl Buffers {
    /// Looks at what a socket of this system gets by default, and at what it gets when it asks.
    pub(crate) fn probe() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let fd = checked(unsafe {
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
        })?;
        // SAFETY: the descriptor is new and nobody else's.
        let probe = unsafe { OwnedFd::from_raw_fd(fd) };
        let default = Self::of(&probe)?;
        if default >= BUFFER_BYTES {
            return Ok(Self { must_be_set: false, granted: default });
        }
        let asking = Self { must_be_set: true, granted: 0 };
        asking.apply(&probe)?;
        Ok(Self { must_be_set: true, granted: Self::of(&probe)? })
    }

    /// Whether sockets get what the relay wants.
    pub(crate) const fn suffice(self) -> bool {
        self.granted >= BUFFER_BYTES
    }

    /// Sizes the buffers of one socket where the default is too small.
    pub(crate) fn apply(self, socket: &OwnedFd) -> io::Result<()> {
        if self.must_be_set {
            // The kernel doubles what it is asked for.
            let asked = BUFFER_BYTES / 2;
            set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, asked)?;
            set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, asked)?;
        }
        Ok(())
    }

    fn of(socket: &OwnedFd) -> io::Result<libc::c_int> {
        let mut value: libc::c_int = 0;
        let mut len = mem::size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: both pointers are to locals of the sizes that are told.
        checked(unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                (&raw mut value).cast(),
                &raw mut len,
            )
        })?;
        Ok(value)
    }
}

/// Sends one datagram, or says that the system did not take it.
pub(crate) fn send(fd: RawFd, data: &[u8], destination: &RawAddress) -> io::Result<()> {
    // SAFETY: data and address are borrowed for the whole call, with their lengths.
    let sent = unsafe {
        libc::sendto(
            fd,
            data.as_ptr().cast(),
            data.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            destination.as_ptr(),
            destination.len(),
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a local of the size that is told.
    checked(unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// The result of a system call that says -1 for a failure.
pub(crate) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The system's sentence for an error, without Rust's number behind it.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((sentence, _)) => sentence.to_owned(),
        None => text,
    }
}
