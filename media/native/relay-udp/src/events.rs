//! What happened, for the one thread that listens: a bounded queue behind one file descriptor.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};
use std::{io, mem};

use crate::notice::Notice;

/// How many events may wait; the oldest go first. The brain bounds their rate for each stream.
const MAX_WAITING: usize = 10_000;

/// One event and the stream it is about.
#[derive(Debug)]
pub struct StreamEvent {
    /// The number that the stream was opened under.
    pub stream: u64,
    /// What happened.
    pub event: relay_core::Event,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<StreamEvent>,
    lost: u64,
    failure: Option<String>,
}

/// What was taken out of the queue at once.
#[derive(Debug, Default)]
pub struct Taken {
    /// The events, oldest first.
    pub events: Vec<StreamEvent>,
    /// How many older ones went because nobody took them in time.
    pub lost: u64,
    /// Why the engine cannot go on; it has stopped then.
    pub failure: Option<String>,
}

/// The queue from all workers to the thread of signalling.
#[derive(Debug)]
pub(crate) struct Events {
    waiting: Mutex<Waiting>,
    notice: Notice,
}

impl Events {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { waiting: Mutex::default(), notice: Notice::new()? })
    }

    /// Readable while something waits.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.notice.raw()
    }

    pub(crate) fn push(&self, events: &mut Vec<StreamEvent>) {
        if events.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.drain(..) {
            if waiting.events.len() == MAX_WAITING {
                waiting.events.pop_front();
                waiting.lost += 1;
            }
            waiting.events.push_back(event);
        }
        drop(waiting);
        self.notice.ring();
    }

    /// Notes that a worker cannot go on; the first reason is the one that counts.
    pub(crate) fn fail(&self, reason: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.failure.get_or_insert(reason);
        drop(waiting);
        self.notice.ring();
    }

    pub(crate) fn take(&self) -> Taken {
        self.notice.hush();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Taken {
            events: mem::take(&mut waiting.events).into(),
            lost: mem::take(&mut waiting.lost),
            failure: waiting.failure.take(),
        }
    }
}
