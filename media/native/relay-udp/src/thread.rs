//! The threads of the workers.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::socket::describe;
use crate::worker::Shared;

/// Starts a worker thread that reports however it ends.
pub(crate) fn spawn(
    index: usize,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name(format!("media-{index}")).stack_size(256 * 1024).spawn(move || {
        leave_signals_alone();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| work(&shared)));
        let reason = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the system refuses to go on: {}", describe(&error)),
            Err(_) => "a worker thread failed".to_owned(),
        };
        shared.lock_anyway().dead = true;
        shared.settled.notify_all();
        shared.events.fail(reason);
    })
}

/// Signals are for the main thread.
fn leave_signals_alone() {
    // SAFETY: the set is a local that the first call fills in.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}
