//! From the values of `media/plan.py` to what the brain and the sockets take.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pyo3::import_exception;
use pyo3::prelude::*;
use relay_core::{Endpoint, SidePlan, SrtpKeys, SrtpSuite, StreamPlan};
use relay_udp::StreamSpec;

import_exception!(media.errors, MediaRefused);

type PyEndpoint = (String, i64);

#[derive(FromPyObject)]
struct PySuite {
    value: String,
}

#[derive(FromPyObject)]
struct PyKeys {
    suite: PySuite,
    key_and_salt: Vec<u8>,
    mki: Vec<u8>,
    lifetime_packets: Option<u64>,
}

#[derive(FromPyObject)]
struct PySide {
    local: PyEndpoint,
    local_rtcp: PyEndpoint,
    remote: Option<PyEndpoint>,
    remote_rtcp: Option<PyEndpoint>,
    rtcp_mux: bool,
    receive_keys: Option<PyKeys>,
    send_keys: Option<PyKeys>,
    signalling_host: Option<String>,
    learn_any: bool,
    sending: bool,
    receiving: bool,
    handshakes: bool,
    dscp: i64,
    max_kbps: Option<i64>,
}

/// A `MediaStream`.
#[derive(FromPyObject)]
pub(crate) struct PyStream {
    clock_hz: i64,
    is_speech: bool,
    a: PySide,
    b: PySide,
}

/// What a stream shall be, or the `MediaRefused` that says why it cannot.
pub(crate) fn spec_of(
    stream: &PyStream,
    inactivity_s: Option<f64>,
    pinholes: bool,
) -> PyResult<StreamSpec> {
    let clock_hz = u32::try_from(stream.clock_hz)
        .map_err(|_| refused(format!("{} Hz is no RTP clock", stream.clock_hz)))?;
    let inactivity = inactivity_s
        .map(|seconds| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| refused(format!("{seconds} s is no length of silence")))
        })
        .transpose()?;
    let plan = StreamPlan {
        clock_hz,
        speech: stream.is_speech,
        inactivity,
        pinholes,
        a: side_of(&stream.a)?,
        b: side_of(&stream.b)?,
    };
    Ok(StreamSpec { plan, dscp: [dscp_of(&stream.a)?, dscp_of(&stream.b)?] })
}

fn side_of(side: &PySide) -> PyResult<SidePlan> {
    let host = &side.local.0;
    let mut plan = SidePlan::new(local(&side.local)?, local(&side.local_rtcp)?);
    let remote = |endpoint: &Option<PyEndpoint>| {
        endpoint.as_ref().map(|endpoint| remote(endpoint, host)).transpose()
    };
    plan.remote = remote(&side.remote)?;
    plan.remote_rtcp = if side.rtcp_mux { None } else { remote(&side.remote_rtcp)? };
    plan.rtcp_mux = side.rtcp_mux;
    plan.receive_keys = side.receive_keys.as_ref().map(keys_of).transpose()?;
    plan.send_keys = side.send_keys.as_ref().map(keys_of).transpose()?;
    plan.signalling_host = match &side.signalling_host {
        Some(signalling) if signalling.contains(':') == host.contains(':') => {
            Some(host_like(signalling, host)?)
        }
        // A leg whose SIP speaks the other family: no source of this one can match it.
        _ => None,
    };
    plan.learn_any = side.learn_any;
    plan.sending = side.sending;
    plan.receiving = side.receiving;
    plan.handshakes = side.handshakes;
    plan.max_kbps = side
        .max_kbps
        .map(|kbps| u32::try_from(kbps).map_err(|_| refused(format!("{kbps} is no bit rate"))))
        .transpose()?;
    Ok(plan)
}

fn keys_of(keys: &PyKeys) -> PyResult<SrtpKeys> {
    let suite = SrtpSuite::from_sdes_name(&keys.suite.value)
        .ok_or_else(|| refused(format!("{} is no SRTP suite of ours", keys.suite.value)))?;
    Ok(SrtpKeys {
        suite,
        key_and_salt: keys.key_and_salt.clone(),
        mki: keys.mki.clone(),
        lifetime_packets: keys.lifetime_packets,
    })
}

fn dscp_of(side: &PySide) -> PyResult<u8> {
    match u8::try_from(side.dscp) {
        Ok(dscp) if dscp < 64 => Ok(dscp),
        _ => Err(refused(format!("{} is no DSCP: it has six bits", side.dscp))),
    }
}

fn local((host, port): &PyEndpoint) -> PyResult<Endpoint> {
    let address = host_like(host, host)?;
    let port = u16::try_from(*port).map_err(|_| {
        let host = if address.is_ipv6() { format!("[{host}]") } else { host.clone() };
        refused(format!("cannot bind {host}:{port}: no such port"))
    })?;
    Ok(Endpoint::new(address, port))
}

fn remote((host, port): &PyEndpoint, like: &str) -> PyResult<Endpoint> {
    let number = u16::try_from(*port).map_err(|_| refused(format!("{port} is no port")))?;
    Ok(Endpoint::new(host_like(host, like)?, number))
}

/// A numeric host of the family that `like`, a host of ours, has.
fn host_like(host: &str, like: &str) -> PyResult<IpAddr> {
    let (version, address) = if like.contains(':') {
        ("IPv6", host.parse::<Ipv6Addr>().map(IpAddr::from))
    } else {
        ("IPv4", host.parse::<Ipv4Addr>().map(IpAddr::from))
    };
    address.map_err(|_| {
        refused(format!("'{host}' is no {version} address, and media leaves from {like}"))
    })
}

/// The exception for what cannot be done.
pub(crate) fn refused(text: String) -> PyErr {
    MediaRefused::new_err(text)
}
