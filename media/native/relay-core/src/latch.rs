//! Ranked latching: from which source one port takes media, and where it therefore sends.
//!
//! A source is worth the proof it brings, not the moment it arrives: better proof always wins
//! back, equal proof never takes over unless signalling announced a change. One table decides; it
//! is asked only about packets that do not come from the source in use. `media/latch.py` is the
//! same table.
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
/// RTP packets in sequence that an unannounced source must show before any of them is relayed.
pub(crate) const CONFIRM_PACKETS: u8 = 4;
const CONFIRM_GAP_PACKETS: u16 = 16;
const CANDIDATE_IDLE: Moment = SECOND / 2;

/// Where one port's latch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LatchState {
    /// Nothing learned.
    Empty,
    /// An unannounced source is being watched.
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
    /// Better rank than the source in use.
    Better,
    /// Equal rank to the source in use.
    Equal,
    /// Unannounced, may be learned here, not yet confirmed.
    Candidate,
    /// Unannounced, may be learned here, a stream in sequence.
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
    use Claim::{Better, Candidate, Confirmed, Equal, Late, Proven, Same, Settled, Stranger};
    use LatchState::{Empty, Held, Latched, Watching};
    use LatchVerdict::{Accept, Learn, Refuse, Watch};
    Some(match (state, claim) {
        (Empty | Latched | Held, Proven)
        | (_, Better)
        | (Empty | Watching | Held, Confirmed)
        | (Held, Settled | Equal) => (Latched, Learn),
        (Empty | Latched | Held, Late) | (Latched | Held, Same) => (state, Accept),
        (Empty | Watching, Candidate) => (Watching, Watch),
        (Held, Candidate) => (Held, Watch),
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
    /// Its RTP sequence number; `None` for RTCP, which cannot confirm an unannounced source.
    pub(crate) sequence: Option<u16>,
    /// Its SSRC.
    pub(crate) ssrc: u32,
    /// For RTCP on its own port: the host that RTP was learned from.
    pub(crate) companion: Option<IpAddr>,
}

impl Evidence {
    /// What an RTCP packet tells.
    pub(crate) const fn of_rtcp(companion: Option<IpAddr>) -> Self {
        Self { newest: true, sequence: None, ssrc: 0, companion }
    }
}

/// A source that nothing announced, and what it has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Candidate {
    source: Endpoint,
    seen_at: Moment,
    packets: u8,
    sequence: u16,
    ssrc: u32,
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
        } else if claim == Claim::Equal {
            self.refusal = Refusal::NoBetterProof;
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
        let mut rank = self.rank_of(&source, &Evidence::of_rtcp(Some(source.host)));
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
            candidate.seen_at += by;
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
            LatchRank::Other => self.claim_of_unannounced(source, evidence, now),
            rank if rank > self.rank => Claim::Better,
            LatchRank::None => self.refuse(Refusal::NotAnnounced),
            rank if rank == self.rank => Claim::Equal,
            _ => self.refuse(Refusal::NoBetterProof),
        }
    }

    fn refuse(&mut self, why: Refusal) -> Claim {
        self.refusal = why;
        Claim::Stranger
    }

    fn claim_of_unannounced(
        &mut self,
        source: Endpoint,
        evidence: &Evidence,
        now: Moment,
    ) -> Claim {
        if self.state == LatchState::Latched || self.rank > LatchRank::Other {
            if self.rank == LatchRank::Other {
                return Claim::Equal;
            }
            return self.refuse(Refusal::NoBetterProof);
        }
        if now - self.signalled_at > UNANNOUNCED_WINDOW {
            return self.refuse(Refusal::WindowClosed);
        }
        match evidence.sequence {
            None => Claim::Confirmed,
            Some(sequence) => self.confirm(source, sequence, evidence.ssrc, now),
        }
    }

    /// Watches one candidate at a time: it must show a stream, not one lucky packet.
    fn confirm(&mut self, source: Endpoint, sequence: u16, ssrc: u32, now: Moment) -> Claim {
        let packets = match &self.candidate {
            Some(other) if other.source != source => {
                if now - other.seen_at < CANDIDATE_IDLE {
                    return Claim::Candidate;
                }
                1
            }
            Some(same) => {
                let ahead = sequence.wrapping_sub(same.sequence);
                let in_sequence = 0 < ahead && ahead <= CONFIRM_GAP_PACKETS;
                if in_sequence && ssrc == same.ssrc { same.packets.saturating_add(1) } else { 1 }
            }
            None => 1,
        };
        self.candidate = Some(Candidate { source, seen_at: now, packets, sequence, ssrc });
        if packets < CONFIRM_PACKETS { Claim::Candidate } else { Claim::Confirmed }
    }
}

#[cfg(test)]
mod tests;
