//! A secure call takes whatever comes, under a suite that the first byte chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_core::SrtpSuite;

mod kit;

fuzz_target!(|data: &[u8]| {
    if let Some((first, rest)) = data.split_first() {
        let suite = SrtpSuite::ALL[usize::from(*first) % SrtpSuite::ALL.len()];
        kit::relay_untrusted(Some(suite), rest);
    }
});
