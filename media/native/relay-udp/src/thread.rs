//! The threads of the workers.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::socket::describe;
use crate::worker::Shared;

/// Starts a worker thread that reports however it ends.
///
/// # Errors
///
/// The system gives no more threads to this process.
pub(crate) fn spawn(
    index: usize,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let body = move || {
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
    };
    let thread = thread::Builder::new().name(format!("media-{index}")).stack_size(256 * 1024);
    thread
        .spawn(body)
        .map_err(|error| io::Error::other(format!("no thread for a worker: {}", describe(&error))))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use relay_core::{Limits, Relay};

    use super::*;
    use crate::events::Events;
    use crate::socket::Buffers;

    fn shared() -> Arc<Shared> {
        let events = Arc::new(Events::new().unwrap());
        Arc::new(
            Shared::new(Relay::new(Limits::default(), 1), events, Buffers::probe().unwrap())
                .unwrap(),
        )
    }

    fn failure(shared: &Shared) -> Option<String> {
        shared.events.take().failure
    }

    #[test]
    fn a_worker_that_the_system_stops_says_why_and_leaves_nobody_waiting() {
        let shared = shared();
        shared.lock().unwrap().retiring = 1;
        let waiting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.wait_settled().is_err())
        };
        let worker = spawn(0, &shared, |_| Err(io::Error::from_raw_os_error(libc::EBADF)));
        worker.unwrap().join().unwrap();
        assert!(waiting.join().unwrap());
        let why = "the system refuses to go on: Bad file descriptor";
        assert_eq!(failure(&shared).as_deref(), Some(why));
    }

    #[test]
    fn a_worker_that_fails_with_the_lock_in_its_hand_is_told_too() {
        let shared = shared();
        let worker = spawn(0, &shared, |shared| {
            let _state = shared.lock();
            panic::resume_unwind(Box::new("on purpose"))
        });
        worker.unwrap().join().unwrap();
        assert!(shared.lock().is_err() && shared.lock_anyway().dead);
        assert_eq!(failure(&shared).as_deref(), Some("a worker thread failed"));
    }

    #[test]
    fn a_worker_that_ends_as_it_was_told_has_not_failed() {
        let shared = shared();
        let (tell, told) = mpsc::channel::<()>();
        let worker = spawn(0, &shared, move |_| {
            let _ = told.recv();
            Ok(())
        });
        drop(tell);
        worker.unwrap().join().unwrap();
        assert_eq!(failure(&shared), None);
        assert!(!shared.lock().unwrap().dead);
    }
}
