//! One UDP port of one side: its latch, what may be heard on it and where it sends.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::latch::{Announced, Evidence, Latch, LatchState, LatchVerdict};
use crate::moment::{LONG_AGO, Moment, SECOND};
use crate::reporter::Reporter;
use crate::types::{Component, Endpoint, LatchRank, Refusal, SideName, StreamKey};

/// A side's refused sources and its key errors are reported no more often than this.
pub(crate) const REPORT: Moment = 10 * SECOND;

/// Which port it is, for reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortName {
    pub(crate) stream: StreamKey,
    pub(crate) side: SideName,
    pub(crate) component: Component,
}

/// One port; what every packet asks stands first.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Port {
    /// The source whose packets need no question to the latch; `None` for none.
    pub(crate) heard: Option<SocketAddr>,
    /// Where packets to the leg go; `None` for nowhere yet.
    pub(crate) destination: Option<SocketAddr>,
    /// Whether what is sent from here would come round to here.
    pub(crate) loops: bool,
    /// Where the SDP says the leg's port is.
    pub(crate) remote: Option<Endpoint>,
    pub(crate) latch: Latch,
    announced: Announced,
    learned: Option<SocketAddr>,
    refused: Option<Endpoint>,
    report_after: Moment,
}

impl Port {
    /// A port that nothing was announced for yet.
    pub(crate) fn new() -> Self {
        Self {
            heard: None,
            destination: None,
            loops: false,
            remote: None,
            latch: Latch::new(Announced::default(), 0),
            announced: Announced::default(),
            learned: None,
            refused: None,
            report_after: LONG_AGO,
        }
    }

    /// Takes note of what signalling says of this port, and aims anew.
    pub(crate) fn signal(
        &mut self,
        mut announced: Announced,
        remote: Option<Endpoint>,
        now: Moment,
    ) {
        self.remote = remote;
        let held = remote.is_some_and(|remote| !is_unicast(remote.host));
        if held && self.announced.host.is_some() {
            // A hold by 0.0.0.0 (RFC 2543) moves nobody: what was announced before still counts.
            announced.remote = self.announced.remote;
            announced.host = self.announced.host;
        }
        self.announced = announced;
        self.latch.signal(announced, now);
        self.aim();
    }

    /// Asks the latch about a packet, learns and reports as it says.
    pub(crate) fn admits(
        &mut self,
        name: PortName,
        source: SocketAddr,
        evidence: &Evidence,
        now: Moment,
        reporter: &mut Reporter,
    ) -> bool {
        let endpoint = Endpoint::from(source);
        let (before, rank_before) = (self.latch.source, self.latch.rank);
        match self.latch.observe(endpoint, evidence, now) {
            LatchVerdict::Accept => true,
            LatchVerdict::Watch => false,
            LatchVerdict::Refuse => {
                if self.announced.host.is_some() {
                    self.report_refused(name, endpoint, self.latch.refusal, now, reporter);
                }
                false
            }
            LatchVerdict::Learn => {
                self.learned = Some(source);
                self.aim();
                if before != Some(endpoint) || rank_before != self.latch.rank {
                    reporter.report(Event::Latched {
                        stream: name.stream,
                        side: name.side,
                        component: name.component,
                        source: endpoint,
                        rank: self.latch.rank,
                        previous: before,
                    });
                }
                true
            }
        }
    }

    /// Reports a refused source, once and at a bounded rate.
    pub(crate) fn report_refused(
        &mut self,
        name: PortName,
        source: Endpoint,
        reason: Refusal,
        now: Moment,
        reporter: &mut Reporter,
    ) {
        if self.refused == Some(source) || now < self.report_after {
            return;
        }
        self.refused = Some(source);
        self.report_after = now + REPORT;
        reporter.report(Event::RelatchRefused {
            stream: name.stream,
            side: name.side,
            component: name.component,
            source,
            reason,
        });
    }

    /// Forgets an unannounced source that is not on this host.
    pub(crate) fn distrust(&mut self, host: IpAddr) {
        let elsewhere = self.latch.source.is_some_and(|source| source.host != host);
        if self.latch.rank == LatchRank::Other && elsewhere {
            self.latch.forget();
            self.aim();
        }
    }

    /// Puts all times off by so much.
    pub(crate) fn shift(&mut self, by: Moment) {
        self.latch.shift(by);
        self.report_after = self.report_after.saturating_add(by);
    }

    /// Symmetric RTP once a source is learned, the announced address before. Spec: RFC 4961.
    fn aim(&mut self) {
        let latched = self.latch.state == LatchState::Latched;
        self.heard = self.learned.filter(|_| latched);
        let announced = self
            .remote
            .filter(|remote| remote.port != 0 && is_unicast(remote.host))
            .filter(|_| !self.announced.learn_any);
        self.destination = match announced {
            _ if latched => self.learned,
            Some(remote) => Some(remote.into()),
            None => self.learned.filter(|_| self.latch.state == LatchState::Held),
        };
    }
}

/// Whether a host is one that media may be sent to.
///
/// The unspecified, multicast, broadcast and link-local IPv6 addresses are not: an SDP may name
/// them (hold by `0.0.0.0`), and a stranger may name them to have us shout.
pub fn is_unicast(host: IpAddr) -> bool {
    match host {
        IpAddr::V4(host) => (1..224).contains(&host.octets()[0]),
        IpAddr::V6(host) => {
            let link_local = host.segments()[0] & 0xFFC0 == 0xFE80;
            let barred = host.is_unspecified() || host.is_multicast() || link_local;
            !barred && host.to_ipv4_mapped().is_none()
        }
    }
}
