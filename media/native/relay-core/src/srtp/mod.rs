//! SRTP and SRTCP: what a packet goes through under a master key, in place.
//!
//! Own code over the ciphers and the hash of well-kept crates. A context of one direction and key
//! keeps everything it needs ready: AES key schedules, the hash states after HMAC's two pads, the
//! GHASH powers, laid out so that a packet touches as few cache lines as possible.
//!
//! Spec: RFC 3711, RFC 6188, RFC 7714.

mod cipher;
mod context;
mod counter;
mod derive;
mod gcm;
mod hmac;
mod protection;
mod source;
mod suite;
mod tag;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod window;

pub(crate) use context::{ContextState, Receiver, Sender};
