//! From what the brain counts, learns and reports to plain Python values.

use std::net::SocketAddr;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use relay_core::{
    Component, DropReason, Endpoint, Event, LatchReport, Refusal, SideCounters, SideName,
};

/// An endpoint as Python's sockets spell it.
pub(crate) fn endpoint(endpoint: Endpoint) -> (String, u16) {
    (endpoint.host.to_string(), endpoint.port)
}

pub(crate) fn address(address: SocketAddr) -> (String, u16) {
    endpoint(Endpoint::from(address))
}

/// The value of `media.types.SideName`.
pub(crate) const fn side(side: SideName) -> &'static str {
    match side {
        SideName::A => "a",
        SideName::B => "b",
    }
}

/// The value of `media.types.Component`.
pub(crate) const fn component(component: Component) -> &'static str {
    match component {
        Component::Rtp => "rtp",
        Component::Rtcp => "rtcp",
    }
}

/// The name in `media.types.Refusal`.
const fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotAnnounced => "NOT_ANNOUNCED",
        Refusal::NoBetterProof => "NO_BETTER_PROOF",
        Refusal::WindowClosed => "WINDOW_CLOSED",
        Refusal::RelayLoop => "RELAY_LOOP",
    }
}

/// Counters as (packets, octets, rtcp_packets, sent_packets, lost, jitter_ticks, drops, interval,
/// bursts, speech, peer, round_trip_ms).
#[expect(clippy::cast_precision_loss, reason = "milliseconds")]
pub(crate) fn counters<'py>(py: Python<'py>, side: &SideCounters) -> PyResult<Bound<'py, PyTuple>> {
    let drops = PyDict::new(py);
    for reason in DropReason::ALL {
        let count = side.dropped(reason);
        if count > 0 {
            drops.set_item(reason.number(), count)?;
        }
    }
    let (interval, bursts) = (side.interval, side.bursts);
    let speech = side.speech.map(|it| (it.last, it.mean, it.worst, it.windows, it.codec));
    let peer = side.peer.map(|it| (it.ssrc, it.fraction_lost, it.lost, it.jitter_ticks));
    (
        side.packets,
        side.octets,
        side.rtcp_packets,
        side.sent_packets,
        side.lost,
        side.jitter_ticks,
        drops,
        (interval.expected, interval.lost, interval.worst_permille),
        (bursts.runs, bursts.longest, bursts.ratio),
        speech,
        peer,
        side.round_trip_ns.map(|ns| ns as f64 / 1e6),
    )
        .into_pyobject(py)
}

/// Latches as (source, rank, destination), for RTP and RTCP of A, then of B.
pub(crate) fn latches<'py>(
    py: Python<'py>,
    reports: &[[LatchReport; 2]; 2],
) -> PyResult<Bound<'py, PyTuple>> {
    let each = reports.iter().flatten().map(|report| {
        (report.source.map(endpoint), report.rank as u8, report.destination.map(address))
    });
    PyTuple::new(py, each.collect::<Vec<_>>())
}

/// An event as a tuple: its kind, its stream, its side, then what the kind has.
pub(crate) fn event<'py>(
    py: Python<'py>,
    stream: u64,
    event: &Event,
) -> PyResult<Bound<'py, PyTuple>> {
    match event {
        Event::Latched { side: at, component: port, source, rank, previous, .. } => (
            "latched",
            stream,
            side(*at),
            component(*port),
            endpoint(*source),
            *rank as u8,
            previous.map(endpoint),
        )
            .into_pyobject(py),
        Event::RelatchRefused { side: at, component: port, source, reason, .. } => {
            ("refused", stream, side(*at), component(*port), endpoint(*source), refusal(*reason))
                .into_pyobject(py)
        }
        Event::MediaTimeout { side: at, silent, .. } => {
            ("timeout", stream, side(*at), silent.as_secs_f64()).into_pyobject(py)
        }
        Event::MediaResumed { side: at, .. } => ("resumed", stream, side(*at)).into_pyobject(py),
        Event::KeyErrors { side: at, count, .. } => {
            ("key errors", stream, side(*at), *count).into_pyobject(py)
        }
        Event::Handshake { side: at, component: port, source, data, .. } => {
            let data = PyBytes::new(py, data);
            ("handshake", stream, side(*at), component(*port), address(*source), data)
                .into_pyobject(py)
        }
    }
}
