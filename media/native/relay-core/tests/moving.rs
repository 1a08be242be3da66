//! A stream that another relay continues.

mod kit;

use std::time::Duration;

use kit::*;
use relay_core::{Event, PlanError, SrtpSuite, StreamPlan};

fn secure() -> StreamPlan {
    let mut secure = plan();
    secure.inactivity = Some(Duration::from_secs(60));
    secure.a.max_kbps = Some(1000);
    for (side, seed) in [(&mut secure.a, 1), (&mut secure.b, 3)] {
        side.receive_keys = Some(keys(SrtpSuite::AesCm128HmacSha1_80, seed));
        side.send_keys = Some(keys(SrtpSuite::AeadAes256Gcm, seed + 1));
    }
    secure
}

/// What phone A sends: the packets of a relay that protects under its key.
fn phone() -> Rig {
    let mut out = plan();
    out.b.send_keys = Some(keys(SrtpSuite::AesCm128HmacSha1_80, 1));
    Rig::new(&out)
}

fn say(phone: &mut Rig, sequence: u16) -> Vec<u8> {
    match phone.a_says(&rtp(sequence)) {
        Outcome::Sent { data, .. } => data,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exported_stream_goes_on_as_if_nothing_had_happened() {
    let mut phone = phone();
    let mut stays = Rig::new(&secure());
    for sequence in [65_000, 65_534, 1, 2] {
        stays.a_says(&say(&mut phone, sequence));
        stays.after(1);
    }
    stays.events();
    let state = stays.relay.export(CALL, stays.now).expect("it is open");
    // The other process's clock began much later.
    let mut goes = Rig::new(&plan());
    goes.relay.close(CALL);
    goes.now = 5 * SECOND;
    goes.relay.restore(CALL, &secure(), &state, goes.now).expect("its own state");
    let replayed = say(&mut phone, 3);
    for (sequence, packet) in [(3, replayed.clone()), (3, replayed), (4, say(&mut phone, 4))] {
        assert_eq!(stays.a_says(&packet), goes.a_says(&packet), "{sequence}");
        stays.now += 20_000_000;
        goes.now += 20_000_000;
    }
    let (before, after) = (stays.counters(A), goes.counters(A));
    assert!((before.jitter_ticks - after.jitter_ticks).abs() < 1e-6);
    assert_eq!(before.drops, after.drops);
    assert_eq!((before.packets, before.lost), (after.packets, after.lost));
    assert_eq!((before.interval, before.bursts), (after.interval, after.bursts));
    let (before, after) = (before.speech.expect("enough packets"), after.speech.expect("so here"));
    assert!((before.mean - after.mean).abs() < 1e-9);
    assert_eq!((before.windows, before.codec), (after.windows, after.codec));
    assert_eq!(stays.relay.latches(CALL), goes.relay.latches(CALL));
    assert_eq!(goes.events(), [], "nothing is learned anew");
    let silent = Duration::from_secs(60);
    let events = goes.after(60);
    assert!(
        events.iter().any(
            |event| matches!(event, Event::MediaTimeout { silent: for_, .. } if *for_ >= silent)
        ),
        "{events:?}"
    );
}

#[test]
fn a_state_of_other_keys_is_refused() {
    let rig = Rig::new(&secure());
    let state = rig.relay.export(CALL, rig.now).expect("it is open");
    let mut other = Rig::new(&plan());
    other.relay.close(CALL);
    let refused = other.relay.restore(CALL, &plan(), &state, other.now);
    assert!(matches!(refused, Err(PlanError::ForeignState(_))));
    assert!(other.relay.is_empty());
}
