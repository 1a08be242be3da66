//! A plain call whose datagrams all look like RTCP, so that reports are read.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod kit;

fuzz_target!(|data: &[u8]| {
    let mut input = Vec::with_capacity(data.len() + 16);
    for part in data.chunks(28) {
        let words = u8::try_from(part.len() / 4).unwrap_or(0);
        let length = (words + 1) * 4;
        input.extend([length, 0, 0x81, 200 + part[0] % 2, 0, words]);
        input.extend(&part[..usize::from(words) * 4]);
    }
    kit::relay_untrusted(None, &input);
});
