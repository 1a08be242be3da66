//! Ranked latching: from which source one port takes media, and where it therefore sends.
//!
//! A source is worth the proof it brings, not the moment it arrives: better proof always wins
//! back, equal proof takes over only from a source that fell silent or after signalling announced
//! a change. Only the announced address itself is learned by one packet, any other must show a
//! stream. One table decides; it is asked only about packets that do not come from the source in
//! use. `media/latch.py` is the same table.
//!
//! Spec: RFC 7362 §4 (latching and its threats), RFC 4961 (symmetric RTP).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::moment::{Moment, SECOND};
use crate::types::{Endpoint, LatchRank, Refusal};

/// How long after signalling a source that nothing announced may still be learned.
pub(crate) const UNANNOUNCED_WINDOW: Moment = 30 * SECOND;
/// How long after an announced change packets from the old source may be mere stragglers.
pub(crate) const SETTLE: Moment = 2 * SECOND;
/// RTP packets in sequence that a source on an announced host must show before it is learned.
pub(crate) const CONFIRM_PACKETS: u8 = 3;
/// RTP packets in sequence that an unannounced source must show before it is learned.
pub(crate) const UNANNOUNCED_PACKETS: u8 = 25;
/// How long they must take at least: a burst is no stream, however many packets it has.
pub(crate) const UNANNOUNCED_STREAM: Moment = 2 * SECOND / 5;
/// A candidate that pauses so long has stopped: an unannounced one begins anew.
pub(crate) const PAUSE: Moment = SECOND / 5;
/// How long the source in use must be silent before one of equal rank may take over.
pub(crate) const SILENT: Moment = SECOND;
/// The same for RTCP on its own port, where a report every 5 s is talking. Spec: RFC 3550 §6.2.
pub(crate) const RTCP_SILENT: Moment = 10 * SECOND;
const CONFIRM_GAP_PACKETS: u16 = 16;

/// Where one port's latch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LatchState {
    /// Nothing learned.
    Empty,
    /// Nothing learned, a candidate is being watched.
    Watching,
    /// Learned.
    Latched,
    /// Learned, and signalling announced a change.
    Held,
}

/// What a packet's source can show for itself, measured against what is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The source in use.
    Same,
    /// The source in use, still there after the announced change.
    Settled,
    /// Authenticated and newer than everything before.
    Proven,
    /// Authenticated, but older than what came from elsewhere.
    Late,
    /// The announced address itself.
    Exact,
    /// Equal rank to the source in use, which talks.
    Equal,
    /// May be learned here, has not shown a stream yet.
    Candidate,
    /// May be learned here, has shown a stream.
    Confirmed,
    /// Anything else.
    Stranger,
}

/// What becomes of the packet, and of the latch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LatchVerdict {
    /// Relay.
    Accept,
    /// Relay and learn.
    Learn,
    /// Drop and watch.
    Watch,
    /// Drop and report.
    Refuse,
}

/// State and claim to next state and verdict; `None` for a pair that cannot arise.
pub(crate) const fn step(state: LatchState, claim: Claim) -> Option<(LatchState, LatchVerdict)> {
    use Claim::{Candidate, Confirmed, Equal, Exact, Late, Proven, Same, Settled, Stranger};
    use LatchState::{Empty, Held, Latched, Watching};
    use LatchVerdict::{Accept, Learn, Refuse, Watch};
    Some(match (state, claim) {
        (Empty | Latched | Held, Proven) | (_, Exact | Confirmed) | (Held, Settled) => {
            (Latched, Learn)
        }
        (Empty | Latched | Held, Late) | (Latched | Held, Same) => (state, Accept),
        (Empty, Candidate) => (Watching, Watch),
        (_, Candidate) => (state, Watch),
        (Latched, Equal) | (_, Stranger) => (state, Refuse),
        _ => return None,
    })
}

/// What signalling says of the sources one port may hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// Where the leg's SDP says this component is received and, by RFC 4961, sent from.
    pub(crate) remote: Option<Endpoint>,
    /// The host of the SDP address.
    pub(crate) host: Option<IpAddr>,
    /// The host the leg's SIP comes from.
    pub(crate) signalling_host: Option<IpAddr>,
    /// Whether a source that nothing announced may be learned.
    pub(crate) learn_any: bool,
    /// Whether only authenticated packets count.
    pub(crate) secure: bool,
}

/// What a packet tells beside its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// Whether its sequence number is ahead of everything accepted before.
    pub(crate) newest: bool,
    /// Its RTP sequence number; `None` for RTCP, which cannot show a stream.
    pub(crate) sequence: Option<u16>,
    /// Its SSRC.
    pub(crate) ssrc: u32,
    /// For RTCP on its own port: the host that RTP was learned from, which vouches for it.
    pub(crate) companion: Option<IpAddr>,
    /// For how long the source in use has not been heard on this port.
    pub(crate) silent: Moment,
}

impl Evidence {
    /// What an RTCP packet tells.
    pub(crate) const fn of_rtcp(companion: Option<IpAddr>, silent: Moment) -> Self {
        Self { newest: true, sequence: None, ssrc: 0, companion, silent }
    }
}

/// A source that may be learned, and the stream that it has shown so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Candidate {
    source: Endpoint,
    rank: LatchRank,
    since: Moment,
    at: Moment,
    sequence: u16,
    ssrc: u32,
    packets: u8,
}

impl Candidate {
    /// Counts one more packet, from one again if it does not follow the one before.
    fn goes_on(&mut self, sequence: u16, ssrc: u32, now: Moment) {
        let ahead = sequence.wrapping_sub(self.sequence);
        let follows = ssrc == self.ssrc && 0 < ahead && ahead <= CONFIRM_GAP_PACKETS;
        let paused = self.rank == LatchRank::Other && now - self.at >= PAUSE;
        if follows && !paused {
            self.packets = self.packets.saturating_add(1);
        } else {
            self.packets = 1;
            self.since = now;
        }
        self.at = now;
        self.sequence = sequence;
        self.ssrc = ssrc;
    }

    /// Whether that is enough for its rank.
    fn is_confirmed(&self) -> bool {
        if self.rank == LatchRank::Other {
            let lasted = self.at - self.since >= UNANNOUNCED_STREAM;
            return lasted && self.packets >= UNANNOUNCED_PACKETS;
        }
        self.packets >= CONFIRM_PACKETS
    }
}

/// The latch of one port.
///
/// For a secure port only authenticated packets may be shown to it: learning comes after proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latch {
    pub(crate) state: LatchState,
    /// The source in use; `None` before one was learned.
    pub(crate) source: Option<Endpoint>,
    /// What the source in use has shown.
    pub(crate) rank: LatchRank,
    /// Why the last refused packet was refused.
    pub(crate) refusal: Refusal,
    announced: Announced,
    signalled_at: Moment,
    candidate: Option<Candidate>,
}

impl Latch {
    /// A latch that has learned nothing.
    pub(crate) const fn new(announced: Announced, now: Moment) -> Self {
        Self {
            state: LatchState::Empty,
            source: None,
            rank: LatchRank::None,
            refusal: Refusal::NotAnnounced,
            announced,
            signalled_at: now,
            candidate: None,
        }
    }

    /// Judges one packet, and learns its source when that is deserved.
    pub(crate) fn observe(
        &mut self,
        source: Endpoint,
        evidence: &Evidence,
        now: Moment,
    ) -> LatchVerdict {
        let rank = self.rank_of(&source, evidence);
        let claim = self.claim(source, rank, evidence, now);
        let (state, verdict) =
            step(self.state, claim).unwrap_or((self.state, LatchVerdict::Refuse));
        self.state = state;
        if verdict == LatchVerdict::Learn {
            // A source that was held keeps the rank it was held with: one packet of it, perhaps
            // RTCP, may show less than what it was learned by.
            self.rank = if claim == Claim::Settled { self.rank } else { rank };
            self.source = Some(source);
            self.candidate = None;
        }
        verdict
    }

    /// Takes note of new signalling: opens the window, and the latch if the place changed.
    ///
    /// A source that the new announcement still covers is held until the change shows itself, so
    /// that there is no gap; one that it does not cover is forgotten at once.
    pub(crate) fn signal(&mut self, announced: Announced, now: Moment) {
        let before = std::mem::replace(&mut self.announced, announced);
        self.signalled_at = now;
        let Some(source) = self.source else {
            self.forget();
            return;
        };
        if before == announced {
            return;
        }
        let mut rank = self.rank_of(&source, &Evidence::of_rtcp(Some(source.host), 0));
        let moved = before.signalling_host != announced.signalling_host;
        if announced.secure != before.secure {
            rank = LatchRank::None;
        }
        if rank == LatchRank::None || (rank == LatchRank::Other && moved) {
            self.forget();
        } else {
            self.state = LatchState::Held;
            self.rank = rank;
        }
    }

    /// Goes back to having learned nothing.
    pub(crate) fn forget(&mut self) {
        self.state = LatchState::Empty;
        self.source = None;
        self.rank = LatchRank::None;
        self.candidate = None;
    }

    /// Puts all times off by so much.
    pub(crate) fn shift(&mut self, by: Moment) {
        self.signalled_at += by;
        if let Some(candidate) = &mut self.candidate {
            candidate.since += by;
            candidate.at += by;
        }
    }

    /// What a source is worth under what is announced; `None` when it may not be learned.
    fn rank_of(&self, source: &Endpoint, evidence: &Evidence) -> LatchRank {
        let announced = &self.announced;
        if announced.secure {
            return LatchRank::SrtpAuthenticated;
        }
        let Some(host) = announced.host else {
            // Before the SDP says anything there is nothing to match a source with.
            return LatchRank::None;
        };
        if Some(*source) == announced.remote {
            return LatchRank::SdpExact;
        }
        if source.host == host {
            return LatchRank::SdpHost;
        }
        if Some(source.host) == announced.signalling_host {
            return LatchRank::SignallingHost;
        }
        let vouched = evidence.sequence.is_some() || Some(source.host) == evidence.companion;
        if announced.learn_any && vouched { LatchRank::Other } else { LatchRank::None }
    }

    fn claim(
        &mut self,
        source: Endpoint,
        rank: LatchRank,
        evidence: &Evidence,
        now: Moment,
    ) -> Claim {
        if Some(source) == self.source {
            let settled = self.state == LatchState::Held && now - self.signalled_at >= SETTLE;
            return if settled { Claim::Settled } else { Claim::Same };
        }
        match rank {
            LatchRank::SrtpAuthenticated if evidence.newest => Claim::Proven,
            LatchRank::SrtpAuthenticated => Claim::Late,
            LatchRank::SdpExact => Claim::Exact,
            _ => self
                .refused(rank, evidence, now)
                .unwrap_or_else(|| self.confirm(source, rank, evidence, now)),
        }
    }

    /// What a source may not be learned for, whatever it shows; `None` when it may be.
    fn refused(&mut self, rank: LatchRank, evidence: &Evidence, now: Moment) -> Option<Claim> {
        if rank == LatchRank::None {
            self.refusal = Refusal::NotAnnounced;
            return Some(Claim::Stranger);
        }
        self.refusal = Refusal::NoBetterProof;
        if rank < self.rank {
            return Some(Claim::Stranger);
        }
        if rank == self.rank && self.state == LatchState::Latched {
            let silence = if evidence.sequence.is_none() { RTCP_SILENT } else { SILENT };
            if evidence.silent < silence {
                return Some(Claim::Equal);
            }
        }
        if rank == LatchRank::Other && now - self.signalled_at > UNANNOUNCED_WINDOW {
            self.refusal = Refusal::WindowClosed;
            return Some(Claim::Stranger);
        }
        None
    }

    /// Watches one candidate: it must show a stream that no other source breaks in on.
    ///
    /// The latest one is watched, so that a stray packet costs the right source no more than its
    /// beginning; only a better one that still talks is not displaced.
    fn confirm(
        &mut self,
        source: Endpoint,
        rank: LatchRank,
        evidence: &Evidence,
        now: Moment,
    ) -> Claim {
        let Some(sequence) = evidence.sequence else {
            let vouched = Some(source.host) == evidence.companion;
            return if vouched { Claim::Confirmed } else { Claim::Candidate };
        };
        match &mut self.candidate {
            Some(same) if same.source == source && same.rank == rank => {
                same.goes_on(sequence, evidence.ssrc, now);
                if same.is_confirmed() {
                    return Claim::Confirmed;
                }
            }
            Some(better) if rank < better.rank && now - better.at < PAUSE => (),
            place => {
                let ssrc = evidence.ssrc;
                *place = Some(Candidate {
                    source,
                    rank,
                    since: now,
                    at: now,
                    sequence,
                    ssrc,
                    packets: 1,
                });
            }
        }
        Claim::Candidate
    }
}

#[cfg(test)]
mod tests;
