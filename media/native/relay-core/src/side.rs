//! One side of a stream: its two ports, its keys, what is counted of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::buffer::PacketBuf;
use crate::counters::SideCounters;
use crate::latch::Announced;
use crate::moment::{LONG_AGO, Moment, SECOND};
use crate::packet::RtpHeader;
use crate::plan::{PlanError, SidePlan, SrtpKeys};
use crate::police::BitRateLimit;
use crate::port::Port;
use crate::rating::{Path, Ratings};
use crate::reception::Reception;
use crate::reports::PeerReports;
use crate::srtp::{Receiver, Sender};
use crate::types::{Component, DropReason, Endpoint};
use crate::watch::SideWatch;

/// How long packets under the key before the last change are still taken: those under way.
const OLD_KEY: Moment = 2 * SECOND;

/// What every packet adds to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) sent_packets: u64,
}

/// What is counted rarely.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RareTotals {
    pub(crate) rtcp_packets: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl RareTotals {
    #[inline]
    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.drop_many(reason, 1);
    }

    #[inline]
    pub(crate) fn drop_many(&mut self, reason: DropReason, datagrams: u64) {
        self.drops[usize::from(reason.number()) - 1] += datagrams;
    }

    pub(crate) const fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason.number() as usize - 1]
    }
}

/// The receiver before the last change of keys, and until when it is asked.
pub(crate) struct OldReceiver {
    pub(crate) receiver: Receiver,
    pub(crate) until: Moment,
}

/// One side.
///
/// With hundreds of streams each packet finds its stream outside the near caches, so what it needs
/// stands together: the first cache line, the two addresses that begin `rtp`, the reception.
#[repr(C, align(64))]
pub(crate) struct Side {
    pub(crate) receiver: Option<Receiver>,
    pub(crate) sender: Option<Sender>,
    pub(crate) limit: Option<Box<BitRateLimit>>,
    /// When the last packet was accepted on the RTP port.
    pub(crate) rtp_heard_at: Moment,
    pub(crate) totals: Totals,
    /// Why no RTP goes to the leg, whatever its destination.
    pub(crate) barred: Option<DropReason>,
    pub(crate) rtp: Port,
    pub(crate) reception: Reception,
    pub(crate) rtcp: Port,
    /// When the last packet was accepted on the RTCP port.
    pub(crate) rtcp_heard_at: Moment,
    pub(crate) rare: RareTotals,
    pub(crate) reports: PeerReports,
    pub(crate) ratings: Ratings,
    pub(crate) watch: SideWatch,
    pub(crate) plan: SidePlan,
    pub(crate) old: Option<OldReceiver>,
}

/// What becomes of a context: one whose key stays goes on, with its rollover counter.
enum Change<T> {
    Keep,
    Become(Option<T>),
}

/// A prepared change of one side: what can fail has not.
pub(crate) struct SideChange {
    receiver: Change<Receiver>,
    sender: Change<Sender>,
}

impl SideChange {
    /// Makes what a side needs that it has not got.
    pub(crate) fn prepare(plan: &SidePlan, before: Option<&Side>) -> Result<Self, PlanError> {
        let before = before.map(|side| &side.plan);
        let receives_as_before = before
            .is_some_and(|old| is_same(old.receive_keys.as_ref(), plan.receive_keys.as_ref()));
        let sends_as_before =
            before.is_some_and(|old| is_same(old.send_keys.as_ref(), plan.send_keys.as_ref()));
        Ok(Self {
            receiver: if receives_as_before {
                Change::Keep
            } else {
                Change::to(plan.receive_keys.as_ref(), Receiver::new)?
            },
            sender: if sends_as_before {
                Change::Keep
            } else {
                Change::to(plan.send_keys.as_ref(), Sender::new)?
            },
        })
    }
}

/// Whether a context of the one serves the other.
fn is_same(before: Option<&SrtpKeys>, now: Option<&SrtpKeys>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => before.is_same_key(now),
        (before, now) => before.is_none() && now.is_none(),
    }
}

impl<T> Change<T> {
    fn to(
        keys: Option<&SrtpKeys>,
        context: impl FnOnce(&SrtpKeys) -> Option<T>,
    ) -> Result<Self, PlanError> {
        let Some(keys) = keys else {
            return Ok(Self::Become(None));
        };
        let length = keys.key_and_salt.len();
        let refusal = PlanError::KeyLength { suite: keys.suite, length };
        Ok(Self::Become(Some(context(keys).ok_or(refusal)?)))
    }
}

impl Side {
    /// A side that nothing is known of; to be given a change next.
    pub(crate) fn new(plan: &SidePlan) -> Self {
        Self {
            receiver: None,
            sender: None,
            limit: None,
            rtp_heard_at: LONG_AGO,
            totals: Totals::default(),
            barred: None,
            rtp: Port::new(),
            reception: Reception::default(),
            rtcp: Port::new(),
            rtcp_heard_at: LONG_AGO,
            rare: RareTotals::default(),
            old: None,
            reports: PeerReports::default(),
            ratings: Ratings::default(),
            watch: SideWatch::default(),
            plan: plan.clone(),
        }
    }

    /// Becomes what was prepared for it.
    pub(crate) fn adopt(&mut self, plan: &SidePlan, change: SideChange, now: Moment) {
        if let Change::Become(receiver) = change.receiver {
            let old = std::mem::replace(&mut self.receiver, receiver);
            self.old = old
                .filter(|_| self.receiver.is_some())
                .map(|receiver| OldReceiver { receiver, until: now + OLD_KEY });
        }
        if let Change::Become(sender) = change.sender {
            self.sender = sender;
        }
        match plan.max_kbps {
            None => self.limit = None,
            Some(max_kbps) if self.limit.is_none() || self.plan.max_kbps != plan.max_kbps => {
                self.limit = Some(Box::new(BitRateLimit::new(max_kbps, now)));
            }
            Some(_) => (),
        }
        self.plan = plan.clone();
        let remote_rtcp = plan.remote_of(Component::Rtcp);
        self.rtp.signal(announced(plan, plan.remote, plan.remote), plan.remote, now);
        let sdp = remote_rtcp.or(plan.remote);
        self.rtcp.signal(announced(plan, remote_rtcp, sdp), remote_rtcp, now);
    }

    pub(crate) const fn port(&self, component: Component) -> &Port {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }

    pub(crate) const fn port_mut(&mut self, component: Component) -> &mut Port {
        match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        }
    }

    /// When the last packet was accepted on one of the ports.
    pub(crate) const fn heard_at(&self, component: Component) -> Moment {
        match component {
            Component::Rtp => self.rtp_heard_at,
            Component::Rtcp => self.rtcp_heard_at,
        }
    }

    /// Notes that an RTCP packet was accepted.
    pub(crate) const fn hear_rtcp(&mut self, now: Moment) {
        match self.rtcp_component() {
            Component::Rtp => self.rtp_heard_at = now,
            Component::Rtcp => self.rtcp_heard_at = now,
        }
    }

    /// When the last packet was accepted, wherever it came in.
    pub(crate) fn last_heard_at(&self) -> Moment {
        self.rtp_heard_at.max(self.rtcp_heard_at)
    }

    /// The port that carries RTCP.
    pub(crate) const fn rtcp_component(&self) -> Component {
        if self.plan.rtcp_mux { Component::Rtp } else { Component::Rtcp }
    }

    /// Finds out whether RTP may go to the leg at all.
    pub(crate) fn bar(&mut self) {
        self.barred = if !self.plan.receiving {
            Some(DropReason::NotWanted)
        } else if self.rtp.loops {
            Some(DropReason::RelayLoop)
        } else {
            None
        };
    }

    /// The host that RTP was learned from, which vouches for RTCP on its own port.
    pub(crate) fn companion(&self) -> Option<IpAddr> {
        self.rtp.latch.source.map(|source| source.host)
    }

    /// Makes an RTP packet plain, by the key of now or for a moment by the one before.
    #[inline]
    pub(crate) fn open_rtp_untrusted(
        &mut self,
        packet: &mut PacketBuf<'_>,
        header: &RtpHeader,
        now: Moment,
    ) -> Result<(), DropReason> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        match receiver.open_rtp_untrusted(packet, header) {
            Err(DropReason::SrtpAuthentication) if self.has_old(now) => {
                self.by_old_key(|old| old.open_rtp_untrusted(packet, header))
            }
            opened => opened,
        }
    }

    /// Makes an RTCP packet plain; as `open_rtp_untrusted`.
    pub(crate) fn open_rtcp_untrusted(
        &mut self,
        packet: &mut PacketBuf<'_>,
        ssrc: u32,
        now: Moment,
    ) -> Result<(), DropReason> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(());
        };
        match receiver.open_rtcp_untrusted(packet, ssrc) {
            Err(DropReason::SrtpAuthentication) if self.has_old(now) => {
                self.by_old_key(|old| old.open_rtcp_untrusted(packet, ssrc))
            }
            opened => opened,
        }
    }

    fn has_old(&mut self, now: Moment) -> bool {
        self.old = self.old.take().filter(|old| now <= old.until);
        self.old.is_some()
    }

    /// What the old key cannot open either fails for the reason that the new one gave.
    fn by_old_key(
        &mut self,
        open: impl FnOnce(&mut Receiver) -> Result<(), DropReason>,
    ) -> Result<(), DropReason> {
        let opened = self.old.as_mut().map(|old| open(&mut old.receiver));
        if opened == Some(Ok(())) { Ok(()) } else { Err(DropReason::SrtpAuthentication) }
    }

    /// Reads what a packet from the leg will need.
    #[inline]
    pub(crate) fn warm_receiving(&self) {
        if let Some(receiver) = &self.receiver {
            receiver.warm();
        }
        std::hint::black_box((
            self.rtp_heard_at,
            self.rtp.heard.is_some(),
            self.reception.received(),
        ));
    }

    /// Reads what a packet to the leg will need.
    #[inline]
    pub(crate) fn warm_sending(&self) {
        if let Some(sender) = &self.sender {
            sender.warm();
        }
        std::hint::black_box((self.barred, self.rtp.destination.is_some()));
    }

    /// All that was counted; speech is rated where `path` is what it takes.
    pub(crate) fn counters(&self, path: Option<Path>) -> SideCounters {
        SideCounters {
            packets: self.totals.packets,
            octets: self.totals.octets,
            rtcp_packets: self.rare.rtcp_packets,
            sent_packets: self.totals.sent_packets,
            lost: self.reception.lost(),
            jitter_ticks: self.reception.jitter_ticks(),
            drops: self.rare.drops,
            speech: path.and_then(|path| self.ratings.report(&self.reception, path)),
            interval: self.reception.interval(),
            bursts: self.reception.bursts(),
            peer: self.reports.view(),
            round_trip_ns: self.reports.round_trip(),
        }
    }
}

fn announced(plan: &SidePlan, remote: Option<Endpoint>, sdp: Option<Endpoint>) -> Announced {
    Announced {
        remote,
        host: sdp.map(|sdp| sdp.host),
        signalling_host: plan.signalling_host,
        learn_any: plan.learn_any,
        secure: plan.receive_keys.is_some(),
    }
}

/// A time in ticks of an RTP clock.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "exact to 104 days, then to some nanoseconds")]
pub(crate) fn ticks(time: Moment, clock_hz: u32) -> f64 {
    time as f64 * (f64::from(clock_hz) / 1e9)
}
