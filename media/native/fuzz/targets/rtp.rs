//! A plain call takes whatever comes: latch, statistics, limits, handshakes.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod kit;

fuzz_target!(|data: &[u8]| kit::relay_untrusted(None, data));
