//! What a list of commands needs, made ready before anything that runs is touched.

use std::net::SocketAddr;

use relay_core::{PlanError, StreamKey};

use crate::command::{Refused, StreamSpec};
use crate::port::{GENERATION_STEP, Port};
use crate::socket;
use crate::worker::GENERATION_MASK;

use super::{Engine, Step, port_id};

/// A port that was opened, and its generation.
pub(super) type Opened = (Port, u32);

/// What a command needs, made ready before anything that runs is touched. Dropped, it leaves
/// nothing open.
pub(super) struct Staged {
    pub(super) number: u64,
    pub(super) spec: StreamSpec,
    pub(super) worker: usize,
    pub(super) key: StreamKey,
    pub(super) opened: [Option<Opened>; 4],
}

impl Engine {
    pub(super) fn stage_open(
        &mut self,
        number: u64,
        spec: StreamSpec,
        opens: usize,
    ) -> Result<Staged, Refused> {
        if self.streams.contains_key(&number) {
            return Err(Refused::Plan(PlanError::AlreadyOpen));
        }
        if self.streams.len() + opens > self.max_streams {
            return Err(Refused::Full(self.streams.len()));
        }
        let loads = self.workers.iter().enumerate().map(|(index, one)| (one.streams(), index));
        let (_, worker) = loads.min().ok_or(Refused::Stopped)?;
        let slot = self.workers[worker].take_slot();
        // The number is never used again, so its lower half tells the users of a slot apart.
        let key = StreamKey::new(slot, number as u32);
        match self.open_ports(&spec, worker, key, None) {
            Ok(opened) => Ok(Staged { number, spec, worker, key, opened }),
            Err(refused) => {
                self.workers[worker].free_slots.push(slot);
                Err(refused)
            }
        }
    }

    pub(super) fn stage_update(
        &mut self,
        number: u64,
        spec: StreamSpec,
    ) -> Result<Staged, Refused> {
        let stream = self.streams.get(&number).ok_or(Refused::Plan(PlanError::NotOpen))?;
        let (worker, key, before) = (stream.worker, stream.key, stream.spec.locals());
        let opened = self.open_ports(&spec, worker, key, Some(before))?;
        Ok(Staged { number, spec, worker, key, opened })
    }

    /// Opens the sockets that a stream needs and has not got.
    pub(super) fn open_ports(
        &mut self,
        spec: &StreamSpec,
        worker: usize,
        key: StreamKey,
        before: Option<[SocketAddr; 4]>,
    ) -> Result<[Option<Opened>; 4], Refused> {
        spec.plan.check().map_err(Refused::Plan)?;
        let mut opened = [const { None }; 4];
        for (index, local) in spec.locals().into_iter().enumerate() {
            if before.is_some_and(|before| before[index] == local) {
                continue;
            }
            let socket = socket::open(local, spec.dscp[index / 2]).map_err(Refused::Socket)?;
            self.buffers.apply(&socket).map_err(Refused::Watch)?;
            self.generation = self.generation.wrapping_add(GENERATION_STEP) & GENERATION_MASK;
            let generation = self.generation;
            if let Some(epoll) = &self.workers[worker].epoll {
                epoll.watch(&socket, port_id(key, index), generation).map_err(Refused::Watch)?;
            }
            opened[index] = Some((Port::new(socket, generation), generation));
        }
        Ok(opened)
    }

    /// Gives back the slots of what will not be opened after all.
    pub(super) fn unstage(&mut self, steps: &[Step]) {
        for step in steps {
            if let Step::Open(staged) = step {
                self.workers[staged.worker].free_slots.push(staged.key.slot);
            }
        }
    }
}
