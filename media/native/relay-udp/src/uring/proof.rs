//! A ring is made, and shows that it can do what the relay needs, before a packet depends on it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

use io_uring::{IoUring, cqueue};
use relay_core::PortId;

use crate::address::ADDRESS_BYTES;
use crate::batch::Batch;
use crate::buffers::Buffers;
use crate::socket;

use super::{COMPLETIONS, ENTRIES, Kind, Uring, name};

impl Uring {
    /// Makes a ring and relays a datagram to itself through it; fails where any step does.
    pub(crate) fn try_new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .dontfork()
            .build(ENTRIES)?;
        if !(ring.params().is_feature_ext_arg()
            && ring.params().is_feature_nodrop()
            && ring.params().is_feature_submit_stable()
            && ring.params().is_feature_skip_cqe_on_success())
        {
            return Err(io::Error::other("the kernel's io_uring is too old"));
        }
        let buffers = Buffers::register(&ring.submitter())?;
        // SAFETY: this C structure is valid when all zero.
        let mut message: Box<libc::msghdr> = Box::new(unsafe { mem::zeroed() });
        message.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
        let mut uring = Self {
            ring,
            buffers,
            message,
            destinations: Vec::with_capacity(ENTRIES as usize),
            leaving: Vec::with_capacity(ENTRIES as usize),
            ending: HashMap::new(),
            idle: Vec::new(),
            ended: VecDeque::new(),
            batch: Batch::new(),
        };
        uring.prove()?;
        Ok(uring)
    }

    /// Sends one datagram from a socket to itself, as packets are received and sent later.
    fn prove(&mut self) -> io::Result<()> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket =
            socket::open(here, 0).map_err(|refused| io::Error::other(refused.to_string()))?;
        let address = socket::local_address(socket.as_raw_fd())?;
        let port = PortId(0);
        self.arm(socket.as_raw_fd(), name(Kind::Receive, port, 0))?;
        let data = b"proof";
        self.destinations.push(address);
        self.push_send(socket.as_raw_fd(), data, false, name(Kind::SendRtp, port, 0))?;
        self.enter(1_000_000_000)?;
        self.destinations.clear();
        let mut proven = false;
        let mut completions = self.ring.completion();
        for completion in &mut completions {
            if completion.user_data() >> 56 != Kind::Receive as u64 {
                return Err(io::Error::from_raw_os_error(-completion.result()));
            }
            let Some(buffer) = cqueue::buffer_select(completion.flags()) else {
                return Err(io::Error::from_raw_os_error(-completion.result()));
            };
            let written = usize::try_from(completion.result()).unwrap_or(0);
            if let Some(received) = self.buffers.received(buffer, written) {
                proven = received.source == address.decode()
                    && received.room[..received.bytes] == *data
                    && cqueue::more(completion.flags());
            }
            self.buffers.lend(buffer);
        }
        drop(completions);
        self.cancel(port, 0)?;
        while self.enter(1_000_000_000)? {
            if self.ring.completion().any(|one| one.user_data() >> 56 == Kind::Receive as u64) {
                break;
            }
        }
        if proven { Ok(()) } else { Err(io::Error::other("a datagram to itself did not arrive")) }
    }
}
