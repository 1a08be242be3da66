//! The Python module `media._native`: values in, values out. What they mean is decided elsewhere.

mod plan;
mod report;
mod stepped;

use std::net::SocketAddr;
use std::os::fd::RawFd;

use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use relay_core::{Component, SideName, StreamState};
use relay_udp::{Command, Config, Refused, Tier};

use plan::{PyStream, refused, spec_of};
use stepped::Stepped;

/// Tells the Python half whether it belongs to this one: the checksum of the stub that says what
/// passes between them.
const INTERFACE: u32 = adler32(include_bytes!("../../../_native.pyi"));

/// One command: the stream's number; its `MediaStream`, None to close it; whether it is new; the
/// length of silence to report; whether to open pinholes.
type PyCommand = (u64, Option<PyStream>, bool, Option<f64>, bool);

/// Worker threads that relay the streams they are told of.
#[pyclass(module = "media._native")]
struct Engine {
    engine: relay_udp::Engine,
}

#[pymethods]
impl Engine {
    /// Starts `workers` threads on the given tier, or on the best that works.
    #[new]
    #[pyo3(signature = (workers, max_streams, seed, tier=None))]
    fn new(
        py: Python<'_>,
        workers: usize,
        max_streams: usize,
        seed: u64,
        tier: Option<&str>,
    ) -> PyResult<Self> {
        let tier = match tier {
            None => None,
            Some("io_uring") => Some(Tier::IoUring),
            Some("epoll") => Some(Tier::Epoll),
            Some(other) => return Err(PyValueError::new_err(format!("{other:?} is no tier"))),
        };
        let config = Config { workers, tier, max_streams, seed };
        let engine = py
            .detach(|| relay_udp::Engine::start(&config))
            .map_err(|error| PyOSError::new_err(relay_udp::describe(&error)))?;
        Ok(Self { engine })
    }

    /// `io_uring` or `epoll`.
    #[getter]
    fn tier(&self) -> String {
        self.engine.tier().to_string()
    }

    /// What runs and why, as one line.
    #[getter]
    fn reason(&self) -> &str {
        self.engine.reason()
    }

    /// Readable while events wait.
    #[getter]
    fn event_descriptor(&self) -> RawFd {
        self.engine.event_descriptor()
    }

    /// Does all of the commands or none.
    fn apply(&mut self, py: Python<'_>, commands: Vec<PyCommand>) -> PyResult<()> {
        let commands = commands
            .into_iter()
            .map(|(number, stream, new, inactivity_s, pinholes)| {
                let Some(stream) = stream else { return Ok(Command::Close(number)) };
                let spec = spec_of(&stream, inactivity_s, pinholes)?;
                let make = if new { Command::Open } else { Command::Update };
                Ok(make(number, spec))
            })
            .collect::<PyResult<Vec<_>>>()?;
        py.detach(|| self.engine.apply(commands)).map_err(refusal)
    }

    /// Sends one datagram from a port of a stream; what cannot be sent is lost.
    fn send(
        &self,
        py: Python<'_>,
        number: u64,
        port: (&str, &str),
        destination: (&str, i64),
        data: &[u8],
    ) -> PyResult<()> {
        let (side, component) = port_of(port)?;
        if let Some(destination) = address_of(destination) {
            py.detach(|| self.engine.send(number, side, component, destination, data));
        }
        Ok(())
    }

    /// Opens a stream and continues it from what `export_state` returned.
    fn restore(
        &mut self,
        py: Python<'_>,
        number: u64,
        stream: PyStream,
        inactivity_s: Option<f64>,
        pinholes: bool,
        state: &str,
    ) -> PyResult<()> {
        let spec = spec_of(&stream, inactivity_s, pinholes)?;
        let state: StreamState = serde_json::from_str(state)
            .map_err(|error| PyValueError::new_err(format!("no state of a stream: {error}")))?;
        py.detach(|| self.engine.restore(number, spec, &state)).map_err(refusal)
    }

    /// The running state of a stream as JSON.
    fn export_state(&self, py: Python<'_>, number: u64) -> PyResult<String> {
        let state = py.detach(|| self.engine.export(number)).ok_or_else(|| unknown(number))?;
        serde_json::to_string(&state).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// What was counted on sides A and B.
    fn counters<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Bound<'py, PyTuple>> {
        let [a, b] = py
            .detach(|| self.engine.ask(number, relay_core::Relay::counters))
            .ok_or_else(|| unknown(number))?;
        (report::counters(py, &a)?, report::counters(py, &b)?).into_pyobject(py)
    }

    /// What is learned on the four ports.
    fn latches<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Bound<'py, PyTuple>> {
        let reports = py
            .detach(|| self.engine.ask(number, relay_core::Relay::latches))
            .ok_or_else(|| unknown(number))?;
        report::latches(py, &reports)
    }

    /// The events that wait, how many were lost, and why the engine cannot go on if it cannot.
    fn take_events<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyList>, u64, Option<String>)> {
        let taken = self.engine.take_events();
        let events = PyList::empty(py);
        for one in &taken.events {
            events.append(report::event(py, one.stream, &one.event)?)?;
        }
        Ok((events, taken.lost, taken.failure))
    }

    /// Closes every stream and stops the threads.
    fn close(&mut self, py: Python<'_>) {
        py.detach(|| self.engine.close());
    }
}

/// A port by the values of `SideName` and `Component`.
fn port_of((side, component): (&str, &str)) -> PyResult<(SideName, Component)> {
    let sides = [SideName::A, SideName::B];
    let components = [Component::Rtp, Component::Rtcp];
    let named = (
        sides.into_iter().find(|known| report::side(*known) == side),
        components.into_iter().find(|known| report::component(*known) == component),
    );
    match named {
        (Some(side), Some(component)) => Ok((side, component)),
        _ => Err(PyValueError::new_err(format!("{side:?} {component:?} is no port"))),
    }
}

/// The address that a numeric host and a port make, if they make one.
fn address_of((host, port): (&str, i64)) -> Option<SocketAddr> {
    Some(SocketAddr::new(host.parse().ok()?, port.try_into().ok()?))
}

/// The checksum of RFC 1950 §8.2, as `zlib.adler32` has it.
const fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high, mut at) = (1, 0, 0);
    while at < bytes.len() {
        low = (low + bytes[at] as u32) % 65_521;
        high = (high + low) % 65_521;
        at += 1;
    }
    high << 16 | low
}

fn refusal(why: Refused) -> PyErr {
    refused(why.to_string())
}

fn unknown(number: u64) -> PyErr {
    PyKeyError::new_err(number)
}

/// The media relay's native part.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("INTERFACE", INTERFACE)?;
    module.add_class::<Engine>()?;
    module.add_class::<Stepped>()?;
    Ok(())
}
