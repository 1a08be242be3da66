//! What happened, for the one thread that listens: a bounded queue behind one file descriptor.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
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

impl StreamEvent {
    const fn is_handshake(&self) -> bool {
        matches!(self.event, relay_core::Event::Handshake { .. })
    }
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
    /// Of those that wait: STUN and DTLS, which must not push out the rest.
    handshakes: AtomicUsize,
    notice: Notice,
}

impl Events {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::default(),
            handshakes: AtomicUsize::new(0),
            notice: Notice::new()?,
        })
    }

    /// Readable while something waits.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.notice.raw()
    }

    /// How many STUN and DTLS datagrams wait.
    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.load(Relaxed)
    }

    pub(crate) fn push(&self, events: &mut Vec<StreamEvent>) {
        if events.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut handshakes = self.handshakes();
        for event in events.drain(..) {
            if waiting.events.len() == MAX_WAITING {
                let oldest = waiting.events.pop_front();
                handshakes -= usize::from(oldest.is_some_and(|oldest| oldest.is_handshake()));
                waiting.lost += 1;
            }
            handshakes += usize::from(event.is_handshake());
            waiting.events.push_back(event);
        }
        self.handshakes.store(handshakes, Relaxed);
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
        self.handshakes.store(0, Relaxed);
        Taken {
            events: mem::take(&mut waiting.events).into(),
            lost: mem::take(&mut waiting.lost),
            failure: waiting.failure.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use relay_core::{Component, Event, SideName, StreamKey};

    use super::*;

    fn event(stream: u64) -> StreamEvent {
        let event = Event::MediaResumed { stream: StreamKey::new(0, 0), side: SideName::A };
        StreamEvent { stream, event }
    }

    fn readable(events: &Events) -> bool {
        let mut poll = libc::pollfd { fd: events.descriptor(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure is read and written, a local.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn the_descriptor_is_readable_while_something_waits() {
        let events = Events::new().unwrap();
        assert!(!readable(&events));
        events.push(&mut vec![event(1), event(2)]);
        assert!(readable(&events));
        let streams: Vec<_> = events.take().events.iter().map(|one| one.stream).collect();
        assert_eq!(streams, [1, 2]);
        assert!(!readable(&events));
        events.fail("no more".into());
        assert!(readable(&events));
    }

    #[test]
    fn the_queue_is_bounded_and_what_was_lost_is_counted() {
        let events = Events::new().unwrap();
        let most = MAX_WAITING as u64;
        events.push(&mut (0..most + 3).map(event).collect());
        let taken = events.take();
        assert_eq!((taken.events.len(), taken.lost), (MAX_WAITING, 3));
        assert_eq!((taken.events[0].stream, taken.events[MAX_WAITING - 1].stream), (3, most + 2));
        assert_eq!(events.take().lost, 0);
    }

    #[test]
    fn of_two_failures_the_first_is_told_once() {
        let events = Events::new().unwrap();
        events.fail("first".into());
        events.fail("second".into());
        assert_eq!(events.take().failure.as_deref(), Some("first"));
        assert_eq!(events.take().failure, None);
    }

    fn handshake() -> StreamEvent {
        let (stream, source) = (StreamKey::new(0, 0), ([127, 0, 0, 1], 1).into());
        let (side, component) = (SideName::A, Component::Rtp);
        let event = Event::Handshake { stream, side, component, source, data: [0, 1].into() };
        StreamEvent { stream: 0, event }
    }

    #[test]
    fn handshakes_are_counted_until_they_are_taken_or_lost() {
        let events = Events::new().unwrap();
        events.push(&mut vec![handshake(), handshake()]);
        assert_eq!(events.handshakes(), 2);
        assert_eq!(events.take().events.len(), 2);
        assert_eq!(events.handshakes(), 0);
        events.push(&mut (0..=MAX_WAITING).map(|_| handshake()).collect());
        assert_eq!(events.handshakes(), MAX_WAITING);
        assert_eq!(events.take().lost, 1);
    }
}
