//! The brain by itself, without sockets or threads, on a clock that the caller moves.

use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use relay_core::{
    Component, Limits, Nanoseconds, OwnPorts, PacketBuf, PortId, Relay, SideName, StreamKey,
    StreamState, TAIL_ROOM_BYTES, Verdict,
};

use crate::plan::{PyStream, refused, spec_of};
use crate::report;

/// Decides about packets one by one. Streams go by small numbers; times are nanoseconds.
#[pyclass(module = "media._native")]
pub(crate) struct Stepped {
    relay: Relay,
}

/// The generation of every stream here: a number is used by one stream at a time.
const fn key(stream: u32) -> StreamKey {
    StreamKey::new(stream, 0)
}

#[pymethods]
impl Stepped {
    #[new]
    fn new(seed: u64) -> Self {
        Self { relay: Relay::sharing(Limits::default(), seed, OwnPorts::new()) }
    }

    /// Opens a stream.
    fn open(
        &mut self,
        number: u32,
        stream: PyStream,
        inactivity_s: Option<f64>,
        pinholes: bool,
        now: Nanoseconds,
    ) -> PyResult<()> {
        let spec = spec_of(&stream, inactivity_s, pinholes)?;
        self.relay.open(key(number), &spec.plan, now).map_err(|why| refused(why.to_string()))
    }

    /// Changes a stream.
    fn update(
        &mut self,
        number: u32,
        stream: PyStream,
        inactivity_s: Option<f64>,
        pinholes: bool,
        now: Nanoseconds,
    ) -> PyResult<()> {
        let spec = spec_of(&stream, inactivity_s, pinholes)?;
        self.relay.update(key(number), &spec.plan, now).map_err(|why| refused(why.to_string()))
    }

    /// Opens a stream and continues it from what `export_state` returned.
    #[allow(clippy::too_many_arguments, reason = "as Python calls it")]
    fn restore(
        &mut self,
        number: u32,
        stream: PyStream,
        inactivity_s: Option<f64>,
        pinholes: bool,
        state: &str,
        now: Nanoseconds,
    ) -> PyResult<()> {
        let spec = spec_of(&stream, inactivity_s, pinholes)?;
        let state: StreamState = serde_json::from_str(state)
            .map_err(|error| PyValueError::new_err(format!("no state of a stream: {error}")))?;
        let restored = self.relay.restore(key(number), &spec.plan, &state, now);
        restored.map_err(|why| refused(why.to_string()))
    }

    /// The running state of a stream as JSON.
    fn export_state(&self, number: u32, now: Nanoseconds) -> PyResult<String> {
        let state = self.relay.export(key(number), now).ok_or_else(|| unknown(number))?;
        serde_json::to_string(&state).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Closes a stream.
    fn close(&mut self, number: u32) {
        self.relay.close(key(number));
    }

    /// Takes a datagram: (side, component, destination, bytes) to be sent, or the number of the
    /// reason why not; None for a handshake.
    #[allow(clippy::too_many_arguments, reason = "as Python calls it")]
    fn receive<'py>(
        &mut self,
        py: Python<'py>,
        number: u32,
        side: u8,
        component: u8,
        source: (String, u16),
        data: &[u8],
        now: Nanoseconds,
    ) -> PyResult<Bound<'py, PyAny>> {
        let host: IpAddr =
            source.0.parse().map_err(|_| PyValueError::new_err("the source is no address"))?;
        let port = key(number).port(
            if side == 0 { SideName::A } else { SideName::B },
            if component == 0 { Component::Rtp } else { Component::Rtcp },
        );
        let mut room = vec![0; data.len() + TAIL_ROOM_BYTES];
        room[..data.len()].copy_from_slice(data);
        let mut packet = PacketBuf::new(&mut room, data.len());
        let source = SocketAddr::new(host, source.1);
        match self.relay.receive(port, source, &mut packet, now) {
            Verdict::Forward { port, destination, .. } => {
                let bytes = PyBytes::new(py, packet.data());
                let (side, component) = names(port);
                let sent = (side, component, report::address(destination), bytes);
                Ok(sent.into_pyobject(py)?.into_any())
            }
            Verdict::Drop(reason) => Ok(reason.number().into_pyobject(py)?.into_any()),
            Verdict::Handshake => Ok(py.None().into_bound(py)),
        }
    }

    /// What is looked at once a second.
    fn tick(&mut self, now: Nanoseconds) {
        self.relay.tick(now);
    }

    /// The events that wait.
    fn take_events<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let events = PyList::empty(py);
        while let Some(event) = self.relay.next_event() {
            let stream = u64::from(event.stream().slot);
            events.append(report::event(py, stream, &event)?)?;
        }
        Ok(events)
    }

    /// The openers that wait, as (stream, side, component, destination).
    fn take_openers<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let openers = PyList::empty(py);
        while let Some(opener) = self.relay.next_opener() {
            let (side, component) = names(opener.port);
            let destination = report::address(opener.destination);
            openers.append((opener.port.slot(), side, component, destination))?;
        }
        Ok(openers)
    }

    /// What was counted on sides A and B.
    fn counters<'py>(&self, py: Python<'py>, number: u32) -> PyResult<Bound<'py, PyTuple>> {
        let [a, b] = self.relay.counters(key(number)).ok_or_else(|| unknown(number))?;
        (report::counters(py, &a)?, report::counters(py, &b)?).into_pyobject(py)
    }

    /// What is learned on the four ports.
    fn latches<'py>(&self, py: Python<'py>, number: u32) -> PyResult<Bound<'py, PyTuple>> {
        let reports = self.relay.latches(key(number)).ok_or_else(|| unknown(number))?;
        report::latches(py, &reports)
    }
}

fn names(port: PortId) -> (&'static str, &'static str) {
    (report::side(port.side()), report::component(port.component()))
}

fn unknown(number: u32) -> PyErr {
    PyKeyError::new_err(number)
}
