//! Any bytes are of exactly one kind, and the readers of the others answer all the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_core::{
    PacketKind, classify_untrusted, is_compound_rtcp_untrusted, read_rtcp_untrusted,
    read_rtp_untrusted,
};

fuzz_target!(|data: &[u8]| {
    let kind = classify_untrusted(data);
    if is_compound_rtcp_untrusted(data) {
        assert!(read_rtcp_untrusted(data).is_some());
    }
    if let Some(header) = read_rtp_untrusted(data) {
        assert!(header.bytes <= data.len());
        assert!(matches!(kind, PacketKind::Rtp | PacketKind::Rtcp));
    }
});
