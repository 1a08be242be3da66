//! A stream's running state as plain data, and streams that continue from it.

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::plan::{PlanError, SidePlan, SrtpKeys, StreamPlan};
use crate::police::BitRateLimit;
use crate::port::Port;
use crate::rating::Ratings;
use crate::reception::Reception;
use crate::reports::PeerReports;
use crate::side::{OldReceiver, RareTotals, Side, Totals, ticks};
use crate::srtp::{ContextState, Receiver, Sender};
use crate::stream::Stream;
use crate::types::StreamKey;
use crate::watch::SideWatch;

/// A stream's running state as plain data, to be continued by another relay.
///
/// Opaque: to be stored and handed to `Relay::restore` together with the plan it ran under. It
/// holds the master keys, so it must be kept as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamState {
    exported_at: Moment,
    sides: [SideState; 2],
}

/// The running state of a side, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SideState {
    receiver: Option<ContextState>,
    old_receiver: Option<(ContextState, Moment)>,
    sender: Option<ContextState>,
    rtp_heard_at: Moment,
    rtcp_heard_at: Moment,
    totals: Totals,
    rare: RareTotals,
    reception: Reception,
    limit: Option<BitRateLimit>,
    rtp: Port,
    rtcp: Port,
    reports: PeerReports,
    ratings: Ratings,
    watch: SideWatch,
}

impl Stream {
    /// A stream that continues an exported one.
    pub(crate) fn restored(
        key: StreamKey,
        plan: &StreamPlan,
        state: &StreamState,
        now: Moment,
    ) -> Result<Self, PlanError> {
        plan.check()?;
        let by = now.saturating_sub(state.exported_at);
        let [a, b] = &state.sides;
        let mut stream = Self::new(key, plan);
        stream.sides = [
            Side::restored(&plan.a, a, by, plan.clock_hz)?,
            Side::restored(&plan.b, b, by, plan.clock_hz)?,
        ];
        Ok(stream)
    }

    pub(crate) fn export(&self, now: Moment) -> StreamState {
        let [a, b] = &self.sides;
        StreamState { exported_at: now, sides: [a.export(), b.export()] }
    }
}

impl Side {
    /// Its running state.
    fn export(&self) -> SideState {
        SideState {
            receiver: self.receiver.as_ref().map(Receiver::export),
            old_receiver: self.old.as_ref().map(|old| (old.receiver.export(), old.until)),
            sender: self.sender.as_ref().map(Sender::export),
            rtp_heard_at: self.rtp_heard_at,
            rtcp_heard_at: self.rtcp_heard_at,
            totals: self.totals.clone(),
            rare: self.rare.clone(),
            reception: self.reception.clone(),
            limit: self.limit.as_deref().cloned(),
            rtp: self.rtp.clone(),
            rtcp: self.rtcp.clone(),
            reports: self.reports.clone(),
            ratings: self.ratings.clone(),
            watch: self.watch.clone(),
        }
    }

    /// A side that continues another one, whose clock was `by` nanoseconds behind.
    fn restored(
        plan: &SidePlan,
        state: &SideState,
        by: Moment,
        clock_hz: u32,
    ) -> Result<Self, PlanError> {
        let mut side = Self::new(plan);
        side.receiver = restored(plan.receive_keys.as_ref(), state.receiver.as_ref(), |state| {
            Receiver::restored(state)
        })?;
        side.sender = restored(plan.send_keys.as_ref(), state.sender.as_ref(), |state| {
            Sender::restored(state)
        })?;
        if let Some((old, until)) = &state.old_receiver {
            side.old = Receiver::restored(old)
                .map(|receiver| OldReceiver { receiver, until: until.saturating_add(by) });
        }
        side.rtp_heard_at = state.rtp_heard_at.saturating_add(by);
        side.rtcp_heard_at = state.rtcp_heard_at.saturating_add(by);
        side.totals = state.totals.clone();
        side.rare = state.rare.clone();
        side.reception = state.reception.clone();
        side.reception.shift(ticks(by, clock_hz));
        side.limit = state.limit.clone().map(Box::new);
        if let Some(limit) = &mut side.limit {
            limit.shift(by);
        }
        side.rtp = state.rtp.clone();
        side.rtp.shift(by);
        side.rtcp = state.rtcp.clone();
        side.rtcp.shift(by);
        side.reports = state.reports.clone();
        side.reports.shift(by);
        side.ratings = state.ratings.clone();
        side.watch = state.watch.clone();
        side.watch.shift(by);
        Ok(side)
    }
}

/// A context that continues an exported one; the plan must name the same keys.
fn restored<T>(
    keys: Option<&SrtpKeys>,
    state: Option<&ContextState>,
    restore: impl FnOnce(&ContextState) -> Option<T>,
) -> Result<Option<T>, PlanError> {
    match (keys, state) {
        (None, None) => Ok(None),
        (Some(keys), Some(state)) if keys.is_same_key(&state.keys) => restore(state)
            .map(Some)
            .ok_or(PlanError::ForeignState("an SRTP context that no export makes")),
        _ => Err(PlanError::ForeignState("it ran under other keys")),
    }
}
