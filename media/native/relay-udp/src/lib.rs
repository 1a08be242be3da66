//! The relay's sockets and worker threads: packets move between the kernel and `relay_core`.
//!
//! Each worker thread serves its own streams. Two tiers exist, tried in this order when the
//! engine starts: io_uring, and epoll where io_uring is missing or forbidden.

mod address;
mod batch;
mod buffers;
mod command;
mod engine;
mod epoll;
mod events;
mod notice;
mod port;
mod reason;
mod socket;
mod thread;
mod uring;
mod worker;

pub use command::{Command, Config, Refused, StreamSpec, Tier};
pub use engine::Engine;
pub use events::{StreamEvent, Taken};
pub use socket::{SocketRefused, describe};
