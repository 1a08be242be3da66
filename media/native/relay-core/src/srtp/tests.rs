//! Packets under a key, from one end to the other.

#![allow(clippy::cast_possible_truncation, reason = "numbers that wrap are the subject")]

use super::{Receiver, Sender};
use crate::buffer::PacketBuf;
use crate::packet::read_rtp_untrusted;
use crate::plan::SrtpKeys;
use crate::types::{DropReason, SrtpSuite};

const SSRC: u32 = 0x5EED;

fn keys(suite: SrtpSuite) -> SrtpKeys {
    let bytes: Vec<u8> = (0..suite.key_length()).map(|index| (index * 7 % 256) as u8).collect();
    SrtpKeys::new(suite, &bytes)
}

fn rtp(sequence: u16, ssrc: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(u32::from(sequence).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..payload).map(|index| (index % 251) as u8));
    packet
}

fn rtcp(ssrc: u32, note: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 203, 0, 1]);
    packet.extend(note.to_be_bytes());
    packet
}

fn in_place<T>(
    data: &mut Vec<u8>,
    change: impl FnOnce(&mut PacketBuf<'_>) -> Result<T, DropReason>,
) -> Result<T, DropReason> {
    let length = data.len();
    let mut buffer = data.clone();
    buffer.resize(length + 200, 0);
    let mut packet = PacketBuf::new(&mut buffer, length);
    let done = change(&mut packet);
    *data = packet.data().to_vec();
    done
}

fn protect(sender: &mut Sender, data: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut data = data.to_vec();
    let header = read_rtp_untrusted(&data).ok_or(DropReason::NotRtp)?;
    in_place(&mut data, |packet| sender.protect_rtp(packet, &header))?;
    Ok(data)
}

fn open(receiver: &mut Receiver, data: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut opened = data.to_vec();
    let header = read_rtp_untrusted(data).ok_or(DropReason::NotRtp)?;
    let done = in_place(&mut opened, |packet| receiver.open_rtp_untrusted(packet, &header));
    if done.is_err() {
        assert_eq!(opened, data, "what is refused stays as it was, for the key before");
    }
    done.map(|()| opened)
}

fn protect_rtcp(sender: &mut Sender, data: &[u8], ssrc: u32) -> Result<Vec<u8>, DropReason> {
    let mut data = data.to_vec();
    in_place(&mut data, |packet| sender.protect_rtcp(packet, ssrc))?;
    Ok(data)
}

fn open_rtcp(receiver: &mut Receiver, data: &[u8], ssrc: u32) -> Result<Vec<u8>, DropReason> {
    let mut opened = data.to_vec();
    let done = in_place(&mut opened, |packet| receiver.open_rtcp_untrusted(packet, ssrc));
    done.map(|()| opened)
}

fn pair(keys: &SrtpKeys) -> (Sender, Receiver) {
    (Sender::new(keys).expect("a good key"), Receiver::new(keys).expect("a good key"))
}

#[test]
fn what_is_protected_opens_again_for_every_suite_and_length() {
    for suite in SrtpSuite::ALL {
        for mki in [&[][..], &[1, 2, 3, 4]] {
            let keys = SrtpKeys { mki: mki.to_vec(), ..keys(suite) };
            let (mut sender, mut receiver) = pair(&keys);
            for (sequence, length) in (0..300).chain([1000, 1340]).enumerate() {
                let packet = rtp(sequence as u16, SSRC, length);
                let protected = protect(&mut sender, &packet).expect("protected");
                let added = suite.facts().rtp_tag_bytes + mki.len();
                assert_eq!(protected.len(), packet.len() + added);
                assert_eq!(protected[..12], packet[..12]);
                assert_eq!(open(&mut receiver, &protected), Ok(packet));
            }
        }
    }
}

#[test]
fn rtcp_opens_again_and_has_the_long_tag_under_the_short_suites_too() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut receiver) = pair(&keys(suite));
        for index in 1..200_u32 {
            let packet = rtcp(SSRC, index);
            let protected = protect_rtcp(&mut sender, &packet, SSRC).expect("protected");
            assert_eq!(protected.len(), packet.len() + 4 + suite.facts().rtcp_tag_bytes);
            assert_eq!(open_rtcp(&mut receiver, &protected, SSRC), Ok(packet));
            let again = open_rtcp(&mut receiver, &protected, SSRC);
            assert_eq!(again, Err(DropReason::SrtpReplay));
        }
    }
}

#[test]
fn no_flipped_bit_passes() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut receiver) = pair(&keys(suite));
        let protected = protect(&mut sender, &rtp(9, SSRC, 20)).expect("protected");
        for bit in 0..protected.len() * 8 {
            let mut wrong = protected.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&mut receiver, &wrong).is_err(), "{suite:?} bit {bit}");
        }
        assert!(open(&mut receiver, &protected).is_ok(), "none of them was remembered");
        let protected = protect_rtcp(&mut sender, &rtcp(SSRC, 1), SSRC).expect("protected");
        for bit in 0..protected.len() * 8 {
            let mut wrong = protected.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(open_rtcp(&mut receiver, &wrong, SSRC).is_err(), "{suite:?} bit {bit}");
        }
    }
}

#[test]
fn another_mki_is_another_key() {
    let ours = SrtpKeys { mki: vec![1], ..keys(SrtpSuite::AesCm128HmacSha1_80) };
    let (mut sender, _) = pair(&SrtpKeys { mki: vec![2], ..ours.clone() });
    let (_, mut receiver) = pair(&ours);
    let protected = protect(&mut sender, &rtp(1, SSRC, 20)).expect("protected");
    assert_eq!(open(&mut receiver, &protected), Err(DropReason::SrtpAuthentication));
}

#[test]
fn the_rollover_counter_follows_wraps_of_each_ssrc_by_itself() {
    let (mut sender, mut receiver) = pair(&keys(SrtpSuite::AeadAes128Gcm));
    for step in 0..2000_u32 {
        for ssrc in [1, 2, 3] {
            let sequence = (step * 997 * ssrc) as u16;
            let packet = rtp(sequence, ssrc, 10);
            let protected = protect(&mut sender, &packet).expect("protected");
            if step % 7 != 0 {
                assert_eq!(open(&mut receiver, &protected), Ok(packet), "{step} {ssrc}");
                assert_eq!(open(&mut receiver, &protected), Err(DropReason::SrtpReplay));
            }
        }
    }
}

#[test]
fn no_index_is_protected_twice() {
    let (mut sender, _) = pair(&keys(SrtpSuite::AesCm128HmacSha1_80));
    assert!(protect(&mut sender, &rtp(300, SSRC, 10)).is_ok());
    assert_eq!(protect(&mut sender, &rtp(300, SSRC, 10)), Err(DropReason::SrtpReplay));
    assert_eq!(protect(&mut sender, &rtp(100, SSRC, 10)), Err(DropReason::SrtpReplay));
}

#[test]
fn a_key_knows_sixty_four_ssrcs_and_junk_is_none_of_them() {
    let (mut sender, mut receiver) = pair(&keys(SrtpSuite::AesCm128HmacSha1_80));
    for ssrc in 1000..1100 {
        let junk = rtp(1, ssrc, 40);
        assert_eq!(open(&mut receiver, &junk), Err(DropReason::SrtpAuthentication));
    }
    for ssrc in 0..64 {
        let protected = protect(&mut sender, &rtp(1, ssrc, 10)).expect("protected");
        assert!(open(&mut receiver, &protected).is_ok());
    }
    assert_eq!(protect(&mut sender, &rtp(1, 64, 10)), Err(DropReason::SsrcLimit));
    assert_eq!(open(&mut receiver, &rtp(1, 64, 40)), Err(DropReason::SsrcLimit));
    assert!(protect(&mut sender, &rtp(2, 63, 10)).is_ok());
}

#[test]
fn a_key_ends_with_its_lifetime() {
    let short = SrtpKeys { lifetime_packets: Some(3), ..keys(SrtpSuite::AeadAes256Gcm) };
    let (mut sender, mut receiver) = pair(&short);
    let (mut endless, _) = pair(&keys(SrtpSuite::AeadAes256Gcm));
    for sequence in 0..3 {
        let protected = protect(&mut sender, &rtp(sequence, SSRC, 10)).expect("protected");
        assert!(open(&mut receiver, &protected).is_ok());
        let report = protect_rtcp(&mut sender, &rtcp(SSRC, 1), SSRC).expect("protected");
        assert!(open_rtcp(&mut receiver, &report, SSRC).is_ok());
        assert!(protect(&mut endless, &rtp(sequence, SSRC, 10)).is_ok());
    }
    assert_eq!(protect(&mut sender, &rtp(3, SSRC, 10)), Err(DropReason::KeyExpired));
    assert_eq!(protect_rtcp(&mut sender, &rtcp(SSRC, 1), SSRC), Err(DropReason::KeyExpired));
    let protected = protect(&mut endless, &rtp(3, SSRC, 10)).expect("protected");
    assert_eq!(open(&mut receiver, &protected), Err(DropReason::KeyExpired));
}

#[test]
fn a_restored_context_goes_on_where_the_other_stood() {
    for suite in SrtpSuite::ALL {
        let (mut sender, mut receiver) = pair(&keys(suite));
        for sequence in [40_000, 65_535, 5] {
            let protected = protect(&mut sender, &rtp(sequence, SSRC, 10)).expect("protected");
            assert!(open(&mut receiver, &protected).is_ok());
        }
        let mut sender_too = Sender::restored(&sender.export()).expect("restored");
        let mut receiver_too = Receiver::restored(&receiver.export()).expect("restored");
        let protected = protect(&mut sender, &rtp(6, SSRC, 10)).expect("protected");
        assert_eq!(protect(&mut sender_too, &rtp(6, SSRC, 10)), Ok(protected.clone()));
        assert!(open(&mut receiver_too, &protected).is_ok());
        assert_eq!(protect(&mut sender_too, &rtp(5, SSRC, 10)), Err(DropReason::SrtpReplay));
    }
}

#[test]
fn a_packet_that_its_buffer_cannot_hold_is_dropped() {
    let (mut sender, _) = pair(&keys(SrtpSuite::AesCm128HmacSha1_80));
    let mut data = rtp(1, SSRC, 20);
    data.resize(data.len() + 9, 0);
    let header = read_rtp_untrusted(&data).expect("a header");
    let length = data.len() - 9;
    let mut packet = PacketBuf::new(&mut data, length);
    assert_eq!(sender.protect_rtp(&mut packet, &header), Err(DropReason::TooLong));
}

#[test]
fn a_key_of_the_wrong_length_makes_no_context() {
    let mut short = keys(SrtpSuite::AeadAes128Gcm);
    short.key_and_salt.pop();
    assert!(Sender::new(&short).is_none());
}
