//! The control side: workers are started, streams opened, changed, closed and asked about.

mod staging;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use relay_core::{
    Component, Limits, OwnPorts, PortId, Relay, SideName, StreamKey, StreamState, is_unicast,
};

use crate::command::{Command, Config, Refused, StreamSpec, Tier};
use crate::epoll::{self, Epoll};
use crate::events::{Events, Taken};
use crate::notice::now_ns;
use crate::port::Port;
use crate::reason::{Start, explain};
use crate::socket::Buffers;
use crate::thread::spawn;
use crate::uring::Uring;
use crate::worker::{Chore, Shared, State};

use staging::Staged;

struct Worker {
    shared: Arc<Shared>,
    /// The epoll object; None where the worker uses io_uring.
    epoll: Option<Arc<Epoll>>,
    thread: Option<JoinHandle<()>>,
    free_slots: Vec<u32>,
    slots: u32,
}

struct Stream {
    worker: usize,
    key: StreamKey,
    spec: StreamSpec,
}

/// What the brain does with a plan.
#[derive(Clone, Copy)]
enum How<'a> {
    Open,
    Restore(&'a StreamState),
    /// With the DSCPs that the sides had.
    Update([u8; 2]),
}

enum Step {
    Open(Staged),
    Update(Staged),
    Close(u64),
}

/// All workers and the streams they relay.
pub struct Engine {
    workers: Vec<Worker>,
    streams: HashMap<u64, Stream>,
    own: OwnPorts,
    events: Arc<Events>,
    buffers: Buffers,
    max_streams: usize,
    generation: u32,
    tier: Tier,
    reason: String,
    stopped: bool,
}

impl Engine {
    /// Starts the workers; they try which tier works.
    ///
    /// # Errors
    ///
    /// The tier that is demanded does not work here, or the system refuses threads or epoll.
    pub fn start(config: &Config) -> io::Result<Self> {
        let Some(tier) = config.tier else {
            return Self::on(Tier::IoUring, config, None)
                .or_else(|why| Self::on(Tier::Epoll, config, Some(&why)));
        };
        Self::on(tier, config, None)
    }

    /// Starts all workers on one tier; `fallback` is why it is the second choice.
    fn on(tier: Tier, config: &Config, fallback: Option<&io::Error>) -> io::Result<Self> {
        let mut engine = Self {
            workers: Vec::new(),
            streams: HashMap::new(),
            own: OwnPorts::new(),
            events: Arc::new(Events::new()?),
            buffers: Buffers::probe()?,
            max_streams: config.max_streams,
            generation: 0,
            tier,
            reason: String::new(),
            stopped: false,
        };
        for index in 0..config.workers.max(1) {
            match tier {
                Tier::IoUring => engine.start_uring(index, config.seed)?,
                Tier::Epoll => engine.start_epoll(index, config.seed)?,
            }
        }
        engine.reason = explain(&Start {
            workers: engine.workers.len(),
            tier,
            demanded: config.tier.is_some(),
            fallback,
            small_buffers: (!engine.buffers.suffice()).then_some(engine.buffers.granted),
        });
        Ok(engine)
    }

    /// How packets are read and written.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// Why it is that tier, and what the operator should know: one line.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Readable while events wait.
    #[must_use]
    pub fn event_descriptor(&self) -> RawFd {
        self.events.descriptor()
    }

    /// Takes the events that wait.
    #[must_use]
    pub fn take_events(&self) -> Taken {
        self.events.take()
    }

    /// Does all of the commands before it returns, or none.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn apply(&mut self, commands: Vec<Command>) -> Result<(), Refused> {
        if self.stopped {
            return Err(Refused::Stopped);
        }
        let mut steps = Vec::with_capacity(commands.len());
        let mut opens = 0;
        for command in commands {
            let staged = match command {
                Command::Close(number) => Ok(Step::Close(number)),
                Command::Open(number, spec) => {
                    opens += 1;
                    self.stage_open(number, spec, opens).map(Step::Open)
                }
                Command::Update(number, spec) => self.stage_update(number, spec).map(Step::Update),
            };
            match staged {
                Ok(step) => steps.push(step),
                Err(refused) => {
                    self.unstage(&steps);
                    return Err(refused);
                }
            }
        }
        let mut touched = vec![false; self.workers.len()];
        for step in steps {
            let worker = self.commit(step)?;
            if let Some(worker) = worker {
                touched[worker] = true;
            }
        }
        self.settle(&touched)
    }

    /// Sends one datagram from a port of a stream, to an address that is somebody's.
    ///
    /// What cannot be sent is lost, as any datagram may be: also that of a stream that has gone.
    pub fn send(
        &self,
        number: u64,
        side: SideName,
        component: Component,
        destination: SocketAddr,
        data: &[u8],
    ) {
        let Some(stream) = self.streams.get(&number) else { return };
        if !is_unicast(destination.ip()) {
            return;
        }
        if let Ok(state) = self.workers[stream.worker].shared.lock() {
            state.send(stream.key.port(side, component), data, destination);
        }
    }

    /// Opens a stream that another engine exported, and continues it without a gap.
    ///
    /// # Errors
    ///
    /// As `apply`; also that the state does not fit the plan.
    pub fn restore(
        &mut self,
        number: u64,
        spec: StreamSpec,
        state: &StreamState,
    ) -> Result<(), Refused> {
        if self.stopped {
            return Err(Refused::Stopped);
        }
        let staged = self.stage_open(number, spec, 1)?;
        let (worker, slot) = (staged.worker, staged.key.slot);
        if let Err(refused) = self.commit_plan(staged, How::Restore(state)) {
            self.workers[worker].free_slots.push(slot);
            return Err(refused);
        }
        let mut touched = vec![false; self.workers.len()];
        touched[worker] = true;
        self.settle(&touched)
    }

    /// The running state of an open stream, to be continued by `restore` elsewhere.
    pub fn export(&self, number: u64) -> Option<StreamState> {
        self.ask(number, |relay, stream| relay.export(stream, now_ns()))
    }

    /// Asks the brain about an open stream; of what the kernel dropped for it, it knows by then.
    pub fn ask<T>(
        &self,
        number: u64,
        question: impl FnOnce(&Relay, StreamKey) -> Option<T>,
    ) -> Option<T> {
        let stream = self.streams.get(&number)?;
        let mut state = self.workers[stream.worker].shared.lock().ok()?;
        for index in 0..4 {
            state.count_queue_drops(port_id(stream.key, index));
        }
        question(&state.relay, stream.key)
    }

    /// Closes every stream and stops the workers; afterwards `apply` refuses all.
    pub fn close(&mut self) {
        self.stopped = true;
        let open: Vec<u64> = self.streams.keys().copied().collect();
        // A worker that died has let go of its ports, or will when the process ends.
        let closed = open.into_iter().try_for_each(|number| self.commit_close(number).map(drop));
        let _ = closed.and_then(|()| self.settle(&vec![true; self.workers.len()]));
        for worker in &self.workers {
            let mut state = worker.shared.lock_anyway();
            state.stop = true;
            drop(state);
            worker.shared.wake.ring();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // What it panicked with was reported as an event.
                let _ = thread.join();
            }
            worker.shared.lock_anyway().close_all();
        }
        self.streams.clear();
    }

    fn start_uring(&mut self, index: usize, seed: u64) -> io::Result<()> {
        let shared = self.share(index, seed)?;
        shared.lock_anyway().ring = true;
        let (tell, told) = mpsc::channel();
        let thread = spawn(index, &shared, move |shared| {
            // A ring belongs to the thread that makes it.
            let mut uring = match Uring::try_new() {
                Ok(uring) => {
                    let _ = tell.send(Ok(()));
                    uring
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return Ok(());
                }
            };
            uring.run(shared)
        })?;
        let outcome = told.recv().unwrap_or_else(|_| Err(io::Error::other("the worker died")));
        if let Err(error) = outcome {
            let _ = thread.join();
            return Err(error);
        }
        self.workers.push(Worker::new(shared, None, thread));
        Ok(())
    }

    fn start_epoll(&mut self, index: usize, seed: u64) -> io::Result<()> {
        let shared = self.share(index, seed)?;
        let epoll = Arc::new(Epoll::new(shared.wake.raw())?);
        let watched = Arc::clone(&epoll);
        let thread = spawn(index, &shared, move |shared| epoll::run(&watched, shared))?;
        self.workers.push(Worker::new(shared, Some(epoll), thread));
        Ok(())
    }

    fn share(&self, index: usize, seed: u64) -> io::Result<Arc<Shared>> {
        let limits = Limits { streams: self.max_streams as u32, ..Limits::default() };
        let seed = seed.wrapping_add(index as u64);
        let relay = Relay::sharing(limits, seed, self.own.clone());
        Ok(Arc::new(Shared::new(relay, Arc::clone(&self.events), self.buffers)?))
    }

    /// Does one step, which cannot fail but by the death of a worker; returns whom it touched.
    fn commit(&mut self, step: Step) -> Result<Option<usize>, Refused> {
        match step {
            Step::Close(number) => self.commit_close(number),
            Step::Open(staged) => self.commit_plan(staged, How::Open).map(Some),
            Step::Update(staged) => {
                let before = self.streams.get(&staged.number).map_or([0; 2], |one| one.spec.dscp);
                self.commit_plan(staged, How::Update(before)).map(Some)
            }
        }
    }

    fn commit_close(&mut self, number: u64) -> Result<Option<usize>, Refused> {
        let Some(stream) = self.streams.remove(&number) else { return Ok(None) };
        let worker = &mut self.workers[stream.worker];
        let mut state = worker.shared.lock()?;
        state.report(&worker.shared.events);
        state.relay.close(stream.key);
        for index in 0..4 {
            let port = port_id(stream.key, index);
            if let Some(old) = state.detach(port) {
                retire(&mut state, port, old);
            }
        }
        drop(state);
        worker.free_slots.push(stream.key.slot);
        Ok(Some(stream.worker))
    }

    /// Opens a stream, continues one that was exported, or changes one.
    fn commit_plan(&mut self, staged: Staged, how: How<'_>) -> Result<usize, Refused> {
        let Staged { number, spec, worker: index, key, opened } = staged;
        let worker = &self.workers[index];
        let mut state = worker.shared.lock()?;
        let now = now_ns();
        let done = match how {
            How::Open => state.relay.open(key, &spec.plan, now),
            How::Restore(exported) => state.relay.restore(key, &spec.plan, exported, now),
            How::Update(_) => state.relay.update(key, &spec.plan, now),
        };
        done.map_err(Refused::Plan)?;
        state.name_slot(key, number);
        for (place, opened) in opened.into_iter().enumerate() {
            let port = port_id(key, place);
            let dscp = spec.dscp[place / 2];
            if let Some((opened, generation)) = opened {
                if state.ring {
                    state.chores.push(Chore::Arm { port, generation });
                }
                if let Some(old) = state.attach(port, opened) {
                    retire(&mut state, port, old);
                }
            } else if matches!(how, How::Update(marked) if marked[place / 2] != dscp) {
                state.mark(port, spec.locals()[place].is_ipv6(), dscp);
            }
        }
        state.send_openers();
        state.report(&worker.shared.events);
        drop(state);
        self.streams.insert(number, Stream { worker: index, key, spec });
        Ok(index)
    }

    /// Has the workers do what only they can, and waits until retired ports are free.
    fn settle(&self, touched: &[bool]) -> Result<(), Refused> {
        let touched = || {
            self.workers.iter().zip(touched).filter(|(_, touched)| **touched).map(|(one, _)| one)
        };
        for worker in touched().filter(|worker| worker.epoll.is_none()) {
            if !worker.shared.lock()?.chores.is_empty() {
                worker.shared.wake.ring();
            }
        }
        for worker in touched().filter(|worker| worker.epoll.is_none()) {
            worker.shared.wait_settled()?;
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, epoll: Option<Arc<Epoll>>, thread: JoinHandle<()>) -> Self {
        Self { shared, epoll, thread: Some(thread), free_slots: Vec::new(), slots: 0 }
    }

    /// How many streams it has.
    fn streams(&self) -> usize {
        self.slots as usize - self.free_slots.len()
    }

    fn take_slot(&mut self) -> u32 {
        self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        })
    }
}

/// One of a stream's four ports, in the order of `StreamSpec::locals`.
fn port_id(stream: StreamKey, place: usize) -> PortId {
    PortId(stream.slot * 4 + place as u32)
}

fn retire(state: &mut State, port: PortId, old: Port) {
    for old in old.into_sockets() {
        state.retire(port, old);
    }
}
