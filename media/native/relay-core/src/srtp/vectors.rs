//! Published test vectors.

use super::cipher::Cipher;
use super::derive::{Derivation, Label};
use super::gcm::Gcm;
use crate::types::SrtpSuite;

/// Bytes of hexadecimal text with blanks.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|digit| u8::try_from(digit.to_digit(16).expect("hexadecimal")).expect("small"))
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// RFC 3711 B.2, RFC 6188 §7.1 and §7.3: the beginning and the end of a whole segment.
fn key_stream_is(key: &str, first: [&str; 3], last: [&str; 3]) {
    let cipher = Cipher::new(&hex(key)).expect("a key length of AES");
    let mut segment = vec![0; 1_044_512];
    cipher.apply(0xF0F1_F2F3_F4F5_F6F7_F8F9_FAFB_FCFD_0000, &mut segment);
    assert_eq!(segment[..48], hex(&first.concat()));
    assert_eq!(segment[segment.len() - 48..], hex(&last.concat()));
}

#[test]
fn rfc_3711_b_2_key_stream() {
    key_stream_is(
        "2B7E151628AED2A6ABF7158809CF4F3C",
        [
            "E03EAD0935C95E80E166B16DD92B4EB4",
            "D23513162B02D0F72A43A2FE4A5F97AB",
            "41E95B3BB0A2E8DD477901E4FCA894C0",
        ],
        [
            "EC8CDF7398607CB0F2D21675EA9EA1E4",
            "362B7C3C6773516318A077D7FC5073AE",
            "6A2CC3787889374FBEB4C81B17BA6C44",
        ],
    );
}

#[test]
fn rfc_6188_7_1_key_stream_of_aes_256() {
    key_stream_is(
        "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
        [
            "92bdd28a93c3f52511c677d08b5515a4",
            "9da71b2378a854f67050756ded165bac",
            "63c4868b7096d88421b563b8c94c9a31",
        ],
        [
            "cea518c90fd91ced9cbb18c078a54711",
            "3dbc4814f4da5f00a08772b63c6a046d",
            "6eb246913062a16891433e97dd01a57f",
        ],
    );
}

#[test]
fn rfc_6188_7_3_key_stream_of_aes_192() {
    key_stream_is(
        "eab234764e517b2d3d160d587d8c86219740f65f99b6bcf7",
        [
            "35096cba4610028dc1b57503804ce37c",
            "5de986291dcce161d5165ec4568f5c9a",
            "474a40c77894bc17180202272a4c264d",
        ],
        [
            "d108d1a31a00bad6367ec23eb044b415",
            "c8f57129fdeb970b59f917b257662d4c",
            "a5dab625811034e8cebdfeb6dc158dd3",
        ],
    );
}

fn derived_is(suite: SrtpSuite, master: &str, key: &str, salt: &str, authentication: &str) {
    let derivation = Derivation::new(&suite.facts(), &hex(master)).expect("the right length");
    for (label, expected) in
        [(Label::Encryption, key), (Label::Salt, salt), (Label::Authentication, authentication)]
    {
        let expected = hex(expected);
        let mut derived = vec![0; expected.len()];
        derivation.fill(label, false, &mut derived);
        assert_eq!(derived, expected);
    }
}

#[test]
fn rfc_3711_b_3_key_derivation() {
    derived_is(
        SrtpSuite::AesCm128HmacSha1_80,
        "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6",
        "C61E7A93744F39EE10734AFE3FF7A087",
        "30CBBC08863D8C85D49DB34A9AE1",
        "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
         E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
         6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
    );
}

#[test]
fn rfc_6188_7_2_key_derivation_by_aes_256() {
    derived_is(
        SrtpSuite::AesCm256HmacSha1_80,
        "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6
         3b04803de51ee7c96423ab5b78d2",
        "5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4",
        "fa31791685ca444a9e07c6c64e93",
        "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
    );
}

#[test]
fn rfc_6188_7_4_key_derivation_by_aes_192() {
    derived_is(
        SrtpSuite::AesCm192HmacSha1_80,
        "73edc66c4fa15776fb57f9505c171365 50ffda71f3e8e5f1
         c8522f3acd4ce86d5add78edbb11",
        "31874736a8f1143870c26e4857d8a5b2 c4a354407faadabb",
        "2372b82d639b6d8503a47adc0a6c",
        "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
    );
}

/// The keys of RFC 7714 §16: counted octets, and "Quid pro quo".
fn gcm(key_bytes: u8) -> Gcm {
    let key: Vec<u8> = (0..key_bytes).collect();
    Gcm::of_session(&key, 0x5175_6964_2070_726f_2071_756f).expect("a key length of AES")
}

/// Seals, compares with what is published, opens again, and refuses each flipped bit of the tag.
fn seals(gcm: &Gcm, ssrc: u32, index: u64, associated: &str, plain: &str, sealed: &str) {
    let (associated, plain, sealed) = (hex(associated), hex(plain), hex(sealed));
    let mut payload = plain.clone();
    let tag = gcm.seal(ssrc, index, &associated, &mut payload);
    assert_eq!([&payload[..], &tag].concat(), sealed);
    for bit in 0..128 {
        let mut wrong = tag;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(!gcm.open(ssrc, index, &associated, &mut payload, &wrong));
    }
    assert!(gcm.open(ssrc, index, &associated, &mut payload, &tag));
    assert_eq!(payload, plain);
}

const RTP_SSRC: u32 = 0x5501_A0B2;
const RTP_INDEX: u64 = 0xF17B;
const RTP_HEADER: &str = "8040f17b 8041f8d3 5501a0b2";
const RTP_PAYLOAD: &str = "47616c6c 69612065 7374206f 6d6e6973 20646976
                           69736120 696e2070 61727465 73207472 6573";
const RTCP_SSRC: u32 = 0x4D61_7273;
const RTCP_INDEX: u64 = 0x5D4;
const RTCP_HEADER: &str = "81c8000d 4d617273";
const RTCP_REST: &str = "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                         deadbeef deadbeef deadbeef deadbeef deadbeef";

#[test]
fn rfc_7714_16_1_1_and_16_1_2_srtp_with_aes_128() {
    let sealed = "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
                  36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
    seals(&gcm(16), RTP_SSRC, RTP_INDEX, RTP_HEADER, RTP_PAYLOAD, sealed);
}

#[test]
fn rfc_7714_16_1_3_and_16_1_4_srtp_tagged_only_with_aes_128() {
    let whole = format!("{RTP_HEADER}{RTP_PAYLOAD}");
    seals(&gcm(16), RTP_SSRC, RTP_INDEX, &whole, "", "22493f82 d2bce397 e9d79e3b 19aa4216");
}

#[test]
fn rfc_7714_16_2_1_and_16_2_2_srtp_with_aes_256() {
    let sealed = "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
                  1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13";
    seals(&gcm(32), RTP_SSRC, RTP_INDEX, RTP_HEADER, RTP_PAYLOAD, sealed);
}

#[test]
fn rfc_7714_16_2_3_and_16_2_4_srtp_tagged_only_with_aes_256() {
    let whole = format!("{RTP_HEADER}{RTP_PAYLOAD}");
    seals(&gcm(32), RTP_SSRC, RTP_INDEX, &whole, "", "a866d591 0f887463 067ceefe c45215d4");
}

#[test]
fn rfc_7714_17_1_srtcp_with_aes_128() {
    let associated = format!("{RTCP_HEADER}800005d4");
    let sealed = "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda
                  4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade";
    seals(&gcm(16), RTCP_SSRC, RTCP_INDEX, &associated, RTCP_REST, sealed);
}

#[test]
fn rfc_7714_17_2_srtcp_with_aes_256() {
    let associated = format!("{RTCP_HEADER}800005d4");
    let sealed = "d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be
                  8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be";
    seals(&gcm(32), RTCP_SSRC, RTCP_INDEX, &associated, RTCP_REST, sealed);
}

#[test]
fn rfc_7714_17_3_and_17_4_srtcp_tagged_only() {
    let associated = format!("{RTCP_HEADER}{RTCP_REST}000005d4");
    let by_128 = "841dd968 3dd78ec9 2ae58790 125f62b3";
    seals(&gcm(16), RTCP_SSRC, RTCP_INDEX, &associated, "", by_128);
    let by_256 = "91db4afb feee5a97 8fab4393 ed2615fe";
    seals(&gcm(32), RTCP_SSRC, RTCP_INDEX, &associated, "", by_256);
}
