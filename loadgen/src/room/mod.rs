//! One room: its replicas, what they type, and the ledger of it all.
//!
//! A room lives in one worker thread, so nothing here is shared or locked.

mod context;
pub mod convergence;
mod delivery;
mod editing;
pub mod editor;
mod ended;
mod importing;
mod inbox;
pub mod initial_document;
pub mod ledger;
mod member;
pub mod meter;
mod origin;
mod presence;
mod present;
mod receiving;
mod recent;
pub mod replica;
pub mod rooms;
pub(crate) mod typist;
pub mod verified;
pub mod waiting;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use syncbench_engines::{Counter, EngineError, PeerId, VersionVector};
use tokio::sync::Notify;

use crate::plan::RoomIndex;
use crate::protocol::JoinMode;
use crate::room::ledger::Ledger;
use crate::time::clock::Nanos;

pub use context::{InitialDocument, RoomContext};
pub use editing::EditOutcome;
use ended::Call;
pub use ended::EndedRoom;
pub use member::Member;
use meter::Meter;
pub use origin::Origin;
use presence::Presences;
pub use present::MemberState;
use present::PresentMember;
pub use receiving::Received;
use recent::Recent;

/// The index of a room among those of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalRoom(pub usize);

/// The place of a client in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRef {
    /// The client's room.
    pub room: LocalRoom,
    /// The client's position among the members of the room.
    pub slot: usize,
}

/// One room of a run.
pub struct Room {
    /// The room's number in the run.
    pub index: RoomIndex,
    /// Its clients by slot: the initial ones and all who arrive later.
    pub members: Vec<Member>,
    /// The edits, and the replicas at which they are visible.
    pub ledger: Ledger,
    /// The presence messages, and where they have arrived.
    presences: Presences,
    context: Rc<RoomContext>,
    meter: Rc<Meter>,
    /// The index of its size among the scenario's room classes.
    class: usize,
    slots: HashMap<PeerId, usize>,
    /// For each stranger, the counter after its last operation seen.
    strangers: VersionVector,
    recent: Recent,
    /// The number of version-only replicas among all members.
    light: usize,
    last_edit: Nanos,
    last_delivery: Nanos,
    /// What the engine is doing.
    call: Cell<Option<Call>>,
    ended: Option<EndedRoom>,
    /// Notified when the room ends before the run.
    over: Rc<Notify>,
}

impl Room {
    /// Creates room `index` of a run, with nobody present yet.
    pub fn new(context: &Rc<RoomContext>, meter: &Rc<Meter>, index: RoomIndex) -> Self {
        let planned = context.plan.room(index);
        let mut writers = Vec::new();
        let mut members = Vec::new();
        for (slot, &client) in planned.clients.iter().enumerate() {
            let plan = context.plan.client(client);
            let writer = plan.writes.then_some(writers.len());
            writers.extend(plan.writes.then_some(slot));
            members.push(Member::new(client, plan, writer));
        }
        let clients = planned.clients.iter().enumerate();
        let has_presence = context.scenario.presence_bytes().is_some();
        Self {
            index,
            presences: Presences::new(if has_presence { members.len() } else { 0 }),
            slots: clients
                .map(|(slot, &client)| (context.identity.peer_of(client), slot))
                .collect(),
            ledger: Ledger::new(members.len(), writers),
            light: members.iter().filter(|member| !member.is_full).count(),
            members,
            context: Rc::clone(context),
            meter: Rc::clone(meter),
            class: planned.class,
            strangers: VersionVector::new(),
            recent: Recent::default(),
            last_edit: 0,
            last_delivery: 0,
            call: Cell::new(None),
            ended: None,
            over: Rc::default(),
        }
    }

    /// The room's name, as in its URL.
    pub fn name(&self) -> String {
        self.context.identity.room_name(self.index)
    }

    /// The version of the document that the room contained before the first
    /// edit.
    pub fn initial_version(&self) -> VersionVector {
        let document = self.context.initial_document.as_ref();
        document
            .map(|document| document.version.clone())
            .unwrap_or_default()
    }

    /// The time from the last edit until its last delivery, once everything is
    /// visible.
    pub fn convergence_time(&self) -> Option<Nanos> {
        let complete = self.ledger.is_complete() && self.last_edit > 0;
        complete.then(|| self.last_delivery.saturating_sub(self.last_edit))
    }

    /// Lets the client in `slot` arrive, which was planned for the time
    /// `planned`. From now on edits are owed to it.
    ///
    /// # Errors
    /// When the engine refuses the document that the client starts from.
    pub fn arrive(&mut self, slot: usize, planned: Nanos) -> Result<(), EngineError> {
        self.ledger.arrive(slot);
        self.engine(Call::Open, |room| {
            room.members[slot].arrive(&room.context, &room.meter, planned)
        })
    }

    /// Lets the client in `slot` leave for good. Edits that it could not send
    /// are nobody's loss but its own.
    pub fn depart(&mut self, slot: usize) {
        let member = &mut self.members[slot];
        if let (Some(writer), Some(present)) = (member.writer, member.present()) {
            let never_sent = self.ledger.withdraw(writer, present.handed_over());
            self.meter
                .record(|metrics| metrics.never_sent += never_sent);
        }
        member.depart();
        self.ledger.depart(slot);
        self.presences.leave(slot);
    }

    /// Begins the session of the client in `slot`, whose connection is open.
    ///
    /// # Errors
    /// When the engine cannot export.
    pub fn begin_session(&mut self, slot: usize) -> Result<(), EngineError> {
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        let mut frames = Vec::new();
        let version = present.doc.version_vector();
        let version = self.context.engine.encode_version(&version);
        let mode = present.protocol.open(version, &mut frames);
        present.begin_session(frames);
        match mode {
            JoinMode::Joining => Ok(()),
            JoinMode::Joined => self.joined(slot, None),
        }
    }

    /// Notes that the relay has let the client in and has the operations of
    /// `version`: `None` where relays of the protocol remember nothing.
    fn joined(&mut self, slot: usize, version: Option<VersionVector>) -> Result<(), EngineError> {
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        present.await_version(version.clone().unwrap_or_default());
        if let Some(version) = version {
            self.engine(Call::Export, |room| room.push_missing(slot, &version))?;
        }
        self.members[slot].wake.notify_one();
        self.check_caught_up(slot);
        Ok(())
    }

    /// Sends the operations that the client has and the relay lacks.
    fn push_missing(&mut self, slot: usize, version: &VersionVector) -> Result<(), EngineError> {
        let now = self.meter.now();
        let Member { client, writer, .. } = self.members[slot];
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        present.confirm(version.get(self.context.identity.peer_of(client)));
        let (from, end) = (present.queued_end, present.created_end);
        if let Some(update) = present.doc.export_missing(version)? {
            present.queue_update(update, end, now);
        }
        present.queued_end = end;
        if let Some(writer) = writer {
            self.ledger.hand_over(writer, from, self.meter.now());
        }
        Ok(())
    }

    fn check_caught_up(&mut self, slot: usize) {
        let member = &mut self.members[slot];
        if member.present().is_some_and(PresentMember::has_caught_up) {
            member.caught_up(self.meter.now());
            self.presences.join(slot);
        }
    }

    /// Notes that the connection of the client in `slot` is gone.
    pub fn disconnected(&mut self, slot: usize, now: Nanos) {
        self.members[slot].disconnected(now);
        self.presences.leave(slot);
    }

    /// The number of deliveries, of edits and of presence.
    fn deliveries(&self) -> u64 {
        self.ledger.visible() + self.presences.visible()
    }

    /// Whether everything has arrived that is owed to a member.
    fn is_complete(&self) -> bool {
        self.ledger.is_complete() && self.presences.is_complete()
    }

    fn peer_of(&self, member: &Member) -> PeerId {
        self.context.identity.peer_of(member.client)
    }

    /// The operations of the room's edits, by writer: its slot, its peer and
    /// the counter after the last of them.
    pub fn edited(&self) -> impl Iterator<Item = (usize, PeerId, Counter)> + '_ {
        let members = self.members.iter().enumerate();
        members.filter_map(|(slot, member)| {
            let end = self.ledger.sent_up_to(member.writer?);
            Some((slot, self.peer_of(member), end))
        })
    }

    /// The operations of the room's edits, also of those that never left their
    /// writer: a relay may have these or not.
    pub fn created(&self) -> impl Iterator<Item = (PeerId, Counter)> + '_ {
        self.members.iter().filter_map(|member| {
            let end = self.ledger.made_up_to(member.writer?);
            Some((self.peer_of(member), end))
        })
    }
}
