//! What loss, jitter and delay do to speech: the E-model.
//!
//! Reduced to what a relay can know. Everything about rooms, levels and echo stands at its default,
//! which makes the basic rating 93.2, and nothing is granted for the advantage of access. Delay is
//! that of the network and of a jitter buffer; what the phones themselves add is not known. Packets
//! that a phone's jitter buffer throws away because they come late count as received.
//!
//! Spec: ITU-T G.107 (06/2015) §7, G.113 (11/2007) appendix I.

const BASIC_RATING: f64 = 93.2;
/// What a jitter buffer adds, in multiples of the jitter.
const BUFFER_JITTERS: f64 = 2.0;
/// Below this one-way delay nobody is impaired.
const HARMLESS_MS: f64 = 100.0;
/// The model knows bursts up to this ratio, and loss that is spread more evenly than chance would
/// spread it is no better than chance to it.
const BURST_RATIOS: (f64, f64) = (1.0, 8.0);

/// What is known of one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// The static payload type of a codec that is listed; `None` to take it for G.711.
    pub(crate) codec: Option<u8>,
    /// Share of packets lost, 0 to 1.
    pub(crate) loss: f64,
    /// How the loss is spread, 1 for by chance.
    pub(crate) burst_ratio: f64,
    /// Interarrival jitter in milliseconds.
    pub(crate) jitter_ms: f64,
    /// From one phone to the other in milliseconds, as far as it is known.
    pub(crate) delay_ms: f64,
}

/// The mean opinion score, 1 to 4.5.
pub(crate) fn mean_opinion_score(conditions: &Conditions) -> f64 {
    score_of_rating(rating(conditions))
}

/// Whether the codec of a static payload type (RFC 3551 §6) has figures of its own.
///
/// Of the codecs with a static type, G.113 gives a robustness for these alone; the others, and all
/// of a dynamic type, are taken for G.711 with concealment.
pub(crate) const fn is_listed(payload_type: u8) -> bool {
    matches!(payload_type, 0 | 4 | 8 | 18)
}

fn rating(conditions: &Conditions) -> f64 {
    let delay_ms = conditions.delay_ms + BUFFER_JITTERS * conditions.jitter_ms;
    BASIC_RATING - delay_impairment(delay_ms) - loss_impairment(conditions)
}

/// Idd; the two other parts of Id are of echo, and none at their defaults.
///
/// Spec: ITU-T G.107 §7.4.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= HARMLESS_MS {
        return 0.0;
    }
    let x = (delay_ms / HARMLESS_MS).log2();
    let sixth = 1.0 / 6.0;
    25.0 * ((1.0 + x.powi(6)).powf(sixth) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(sixth) + 2.0)
}

/// Ie-eff. Spec: ITU-T G.107 §7.5, G.113 appendix I.
fn loss_impairment(conditions: &Conditions) -> f64 {
    let (impairment, robustness) = match conditions.codec {
        // G.723.1 at 6.3 kbit/s and G.729A, both with silence suppression.
        Some(4) => (15.0, 16.1),
        Some(18) => (11.0, 19.0),
        _ => (0.0, 25.1),
    };
    let percent = conditions.loss.clamp(0.0, 1.0) * 100.0;
    let (least, most) = BURST_RATIOS;
    let bursty = percent / conditions.burst_ratio.clamp(least, most) + robustness;
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

    const CLEAN: Conditions =
        Conditions { codec: Some(0), loss: 0.0, burst_ratio: 1.0, jitter_ms: 0.0, delay_ms: 0.0 };

    fn impaired(codec: u8, percent: f64) -> f64 {
        loss_impairment(&Conditions { codec: Some(codec), loss: percent / 100.0, ..CLEAN })
    }

    #[test]
    fn ratings_have_the_scores_of_table_b_1_of_g_107() {
        for (rating, score) in
            [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)]
        {
            assert!((score_of_rating(rating) - score).abs() < 0.01, "{rating}");
        }
    }

    #[test]
    fn a_clean_call_has_the_default_rating() {
        assert!((mean_opinion_score(&CLEAN) - 4.41).abs() < 0.005);
    }

    #[test]
    fn loss_by_chance_impairs_as_g_113_lists_it() {
        // The planning values under random loss of G.113 appendix I, whole numbers; the formula
        // that G.107 fits to them is off by one here and there.
        let g729a = [(0.0, 11.0), (1.0, 15.0), (2.0, 19.0), (4.0, 26.0), (8.0, 36.0), (16.0, 49.0)];
        let g723 = [(0.0, 15.0), (1.0, 19.0), (2.0, 24.0), (4.0, 32.0), (8.0, 41.0), (16.0, 55.0)];
        for (payload_type, table) in [(18, g729a), (4, g723)] {
            for (percent, listed) in table {
                let impairment = impaired(payload_type, percent);
                assert!(
                    (impairment - listed).abs() < 1.5,
                    "{payload_type} {percent}: {impairment}"
                );
            }
        }
        for (percent, listed) in [(0.0, 0.0), (1.0, 5.0), (2.0, 7.0), (3.0, 10.0), (5.0, 15.0)] {
            assert!((impaired(0, percent) - listed).abs() < 1.5, "{percent}");
        }
    }

    #[test]
    fn a_codec_that_is_not_listed_counts_as_g_711() {
        let dynamic = Conditions { codec: None, loss: 0.05, ..CLEAN };
        assert!((loss_impairment(&dynamic) - impaired(0, 5.0)).abs() < f64::EPSILON);
        assert!(
            [0, 4, 8, 18].into_iter().all(is_listed)
                && ![3, 13, 96, 101].into_iter().any(is_listed)
        );
    }

    #[test]
    fn delay_costs_what_the_formula_of_g_107_says() {
        // By hand: X = 2, so 25 · (65^(1/6) − 3 · (1 + 64/729)^(1/6) + 2).
        assert!((delay_impairment(400.0) - 24.07).abs() < 0.01);
        assert!(delay_impairment(100.0) < f64::EPSILON);
        assert!(delay_impairment(150.0) < 1.0);
    }

    #[test]
    fn a_jitter_buffer_adds_to_the_delay() {
        let buffered = rating(&Conditions { jitter_ms: 100.0, delay_ms: 200.0, ..CLEAN });
        assert!((BASIC_RATING - buffered - delay_impairment(400.0)).abs() < 1e-9);
    }

    #[test]
    fn bursts_cost_more_than_loss_by_chance_and_even_loss_no_less() {
        let score =
            |burst_ratio| mean_opinion_score(&Conditions { loss: 0.05, burst_ratio, ..CLEAN });
        assert!(score(2.0) < score(1.0));
        assert!((score(0.5) - score(1.0)).abs() < f64::EPSILON);
        assert!((score(80.0) - score(8.0)).abs() < f64::EPSILON);
    }

    #[test]
    fn the_score_stays_on_its_scale() {
        for loss in [0.0, 0.2, 0.5, 1.0, 2.0, f64::INFINITY] {
            for delay in [0.0, 150.0, 1e3, 1e9] {
                let bad = Conditions { loss, jitter_ms: delay, delay_ms: delay, ..CLEAN };
                let score = mean_opinion_score(&bad);
                assert!((1.0..=4.5).contains(&score), "{score}");
            }
        }
    }
}
