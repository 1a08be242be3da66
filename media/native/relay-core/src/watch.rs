//! What is looked at once a second for each side: silence, keep-alives, key errors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::moment::{LONG_AGO, Moment, SECOND};
use crate::port::{Port, PortName, REPORT};
use crate::relay::Opener;
use crate::reporter::Reporter;
use crate::side::Side;
use crate::types::{Component, DropReason, Endpoint};

/// After so long without a packet to a leg one is sent to keep the pinhole open.
///
/// Spec: RFC 6263 §5 (Tr).
const KEEPALIVE: Moment = 15 * SECOND;

/// What is remembered from one look to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SideWatch {
    expected: bool,
    expected_since: Moment,
    silent_at: Option<Moment>,
    failures: u64,
    report_after: Moment,
    /// Without the flow label and scope of a learned IPv6 source: they make no other place.
    opened: [Option<Endpoint>; 2],
    sent: u64,
    sent_at: Moment,
}

impl Default for SideWatch {
    fn default() -> Self {
        Self {
            expected: false,
            expected_since: 0,
            silent_at: None,
            failures: 0,
            report_after: LONG_AGO,
            opened: [None; 2],
            sent: 0,
            sent_at: 0,
        }
    }
}

impl SideWatch {
    /// Puts all times off by so much.
    pub(crate) fn shift(&mut self, by: Moment) {
        self.expected_since = self.expected_since.saturating_add(by);
        self.silent_at = self.silent_at.map(|at| at.saturating_add(by));
        self.report_after = self.report_after.saturating_add(by);
        self.sent_at = self.sent_at.saturating_add(by);
    }
}

impl Side {
    /// Takes note of whether packets are expected from now on.
    pub(crate) fn expect(&mut self, expected: bool, now: Moment) {
        let watch = &mut self.watch;
        if watch.expected != expected {
            watch.expected = expected;
            watch.expected_since = now;
            watch.silent_at = None;
        }
    }

    /// Sends openers to where none went yet.
    pub(crate) fn open_pinholes(
        &mut self,
        name: PortName,
        now: Moment,
        openers: &mut impl FnMut(Opener),
    ) {
        let ports = [&self.rtp, &self.rtcp].map(|port| port.destination.map(Endpoint::from));
        let before = self.watch.opened;
        if ports == before {
            return;
        }
        if ports[0] != before[0] {
            open(&self.rtp, PortName { component: Component::Rtp, ..name }, openers);
        }
        if ports[1] != before[1] && !self.plan.rtcp_mux {
            open(&self.rtcp, PortName { component: Component::Rtcp, ..name }, openers);
        }
        self.watch.opened = ports;
        self.watch.sent_at = now;
    }

    /// Reports silence that is as long as it may be, and its end.
    pub(crate) fn look_for_silence(
        &mut self,
        name: PortName,
        inactivity: Duration,
        now: Moment,
        reporter: &mut Reporter,
    ) {
        let (stream, side) = (name.stream, name.side);
        if !self.watch.expected {
            return;
        }
        if let Some(silent_at) = self.watch.silent_at {
            if self.last_heard_at() > silent_at {
                self.watch.silent_at = None;
                reporter.report(Event::MediaResumed { stream, side });
            }
            return;
        }
        let since = self.last_heard_at().max(self.watch.expected_since);
        let silent = Duration::from_nanos(u64::try_from(now - since).unwrap_or(0));
        if silent >= inactivity {
            self.watch.silent_at = Some(now);
            reporter.report(Event::MediaTimeout { stream, side, silent });
        }
    }

    /// Reports that packets failed authentication, at a bounded rate.
    pub(crate) fn look_at_keys(&mut self, name: PortName, now: Moment, reporter: &mut Reporter) {
        let failures = self.rare.dropped(DropReason::SrtpAuthentication);
        let watch = &mut self.watch;
        if self.receiver.is_some() && failures > watch.failures && now >= watch.report_after {
            let count = failures - watch.failures;
            watch.failures = failures;
            watch.report_after = now + REPORT;
            reporter.report(Event::KeyErrors { stream: name.stream, side: name.side, count });
        }
    }

    /// Keeps the pinhole of a leg open that nothing was sent to for a while.
    pub(crate) fn keep_alive(
        &mut self,
        name: PortName,
        now: Moment,
        openers: &mut impl FnMut(Opener),
    ) {
        let watch = &mut self.watch;
        if watch.sent != self.totals.sent_packets {
            watch.sent = self.totals.sent_packets;
            watch.sent_at = now;
        } else if now - watch.sent_at >= KEEPALIVE {
            watch.sent_at = now;
            open(&self.rtp, PortName { component: Component::Rtp, ..name }, openers);
        }
    }
}

fn open(port: &Port, name: PortName, openers: &mut impl FnMut(Opener)) {
    if let (Some(destination), false) = (port.destination, port.loops) {
        openers(Opener { port: name.stream.port(name.side, name.component), destination });
    }
}
