//! What loss, jitter and delay do to speech: the E-model.
//!
//! Reduced to what a relay can know. Everything about rooms, levels and echo stands at its default,
//! which makes the basic rating 93.2. The codec counts by its static payload type; one of a
//! dynamic type is taken for G.711 with concealment. Spec: ITU-T G.107 §7, G.113 appendix I.

const BASIC_RATING: f64 = 93.2;
/// What a jitter buffer adds, in multiples of the jitter.
const BUFFER_JITTERS: f64 = 2.0;
/// Below this one-way delay nobody is impaired.
const HARMLESS_MS: f64 = 100.0;

/// What is known of one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// The payload type in use.
    pub(crate) payload_type: u8,
    /// Share of packets lost, 0 to 1.
    pub(crate) loss: f64,
    /// Burst ratio, 1 for loss by chance.
    pub(crate) burst_ratio: f64,
    /// Interarrival jitter in milliseconds.
    pub(crate) jitter_ms: f64,
    /// Time to the leg and back in milliseconds.
    pub(crate) round_trip_ms: f64,
}

/// The mean opinion score, 1 to 4.5.
pub(crate) fn mean_opinion_score(conditions: &Conditions) -> f64 {
    score_of_rating(rating(conditions))
}

fn rating(conditions: &Conditions) -> f64 {
    let delay_ms = conditions.round_trip_ms / 2.0 + BUFFER_JITTERS * conditions.jitter_ms;
    BASIC_RATING - delay_impairment(delay_ms) - loss_impairment(conditions)
}

/// Idd. Spec: ITU-T G.107 §7.4.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= HARMLESS_MS {
        return 0.0;
    }
    let x = (delay_ms / HARMLESS_MS).log2();
    let sixth = 1.0 / 6.0;
    25.0 * ((1.0 + x.powi(6)).powf(sixth) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(sixth) + 2.0)
}

/// Ie-eff. Spec: ITU-T G.107 §7.5.
fn loss_impairment(conditions: &Conditions) -> f64 {
    let (impairment, robustness) = match conditions.payload_type {
        4 => (15.0, 16.1),
        18 => (11.0, 19.0),
        _ => (0.0, 25.1),
    };
    let percent = conditions.loss.clamp(0.0, 1.0) * 100.0;
    let bursty = percent / conditions.burst_ratio.max(0.01) + robustness;
    impairment + (95.0 - impairment) * percent / bursty
}

/// Spec: ITU-T G.107 annex B.
fn score_of_rating(rating: f64) -> f64 {
    if rating <= 0.0 {
        return 1.0;
    }
    if rating >= 100.0 {
        return 4.5;
    }
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    // Below a rating of 6.5 the polynomial dips under its own lower end.
    score.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Conditions = Conditions {
        payload_type: 0,
        loss: 0.0,
        burst_ratio: 1.0,
        jitter_ms: 0.0,
        round_trip_ms: 0.0,
    };

    fn about(score: f64, expected: f64) -> bool {
        (score - expected).abs() < 0.02
    }

    #[test]
    fn a_clean_call_has_the_default_rating() {
        assert!(about(mean_opinion_score(&CLEAN), 4.41));
    }

    #[test]
    fn g729_starts_lower() {
        let score = mean_opinion_score(&Conditions { payload_type: 18, ..CLEAN });
        assert!(about(score, 4.10), "{score}");
    }

    #[test]
    fn delay_costs_as_in_table_b_of_g_107() {
        // Idd at 400 ms is 24.1 points for the default of everything else.
        assert!((delay_impairment(400.0) - 24.0).abs() < 1.0);
        assert!(delay_impairment(100.0) < f64::EPSILON);
    }

    #[test]
    fn bursts_cost_more_than_loss_by_chance() {
        let chance = mean_opinion_score(&Conditions { loss: 0.05, ..CLEAN });
        let bursts = mean_opinion_score(&Conditions { loss: 0.05, burst_ratio: 2.0, ..CLEAN });
        assert!(bursts < chance && chance < 4.41);
    }

    #[test]
    fn the_score_stays_on_its_scale() {
        for loss in [0.0, 0.2, 0.5, 1.0, 2.0, f64::INFINITY] {
            for delay in [0.0, 150.0, 1e3, 1e9] {
                let bad = Conditions { loss, jitter_ms: delay, round_trip_ms: delay, ..CLEAN };
                let score = mean_opinion_score(&bad);
                assert!((1.0..=4.5).contains(&score), "{score}");
            }
        }
    }
}
