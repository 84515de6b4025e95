//! One client of a room, present or not.

use std::rc::Rc;

use syncbench_engines::EngineError;
use tokio::sync::Notify;

use super::RoomContext;
use super::meter::Meter;
use super::present::{Identity, MemberState, PresentMember};
use crate::net::link::LinkHandle;
use crate::net::network::ArrivalStamp;
use crate::plan::{ClientId, ClientPlan};
use crate::time::clock::Nanos;

/// One client of a room.
pub struct Member {
    /// The client's number in the run.
    pub client: ClientId,
    /// The client's number among the room's writers, if it is one.
    pub writer: Option<usize>,
    /// True if its replica is a document, and not only a version.
    pub is_full: bool,
    /// True if it takes part from the start of the run.
    pub is_initial: bool,
    /// The class of its link among those of the scenario, if it has one.
    pub link_class: Option<usize>,
    /// The handle of its current link.
    pub link: Rc<LinkHandle>,
    /// The arrival time of the bytes it read last, by the time source.
    pub arrival: ArrivalStamp,
    /// Notified when there is something to send.
    pub wake: Rc<Notify>,
    attendance: Attendance,
    missed_some: bool,
    /// Periods in which the scenario kept it away: ascending; the last may be
    /// open.
    away: Vec<(Nanos, Nanos)>,
}

/// The state that a client needs only while it takes part. It is boxed, so that a
/// client that has yet to arrive costs next to nothing.
enum Attendance {
    Absent,
    Present(Box<PresentMember>),
    Gone,
}

impl Member {
    /// Creates the member for `client`, which has not arrived yet.
    pub(super) fn new(client: ClientId, plan: &ClientPlan, writer: Option<usize>) -> Self {
        Self {
            client,
            writer,
            is_full: plan.full,
            is_initial: plan.joins.is_none(),
            link_class: plan.link,
            link: Rc::default(),
            arrival: ArrivalStamp::default(),
            wake: Rc::default(),
            attendance: Attendance::Absent,
            missed_some: plan.joins.is_some(),
            away: Vec::new(),
        }
    }

    /// Lets the client arrive, which was planned for the time `planned`.
    ///
    /// # Errors
    /// When the engine refuses the document that the client starts from.
    pub(super) fn arrive(
        &mut self,
        context: &RoomContext,
        meter: &Rc<Meter>,
        planned: Nanos,
    ) -> Result<(), EngineError> {
        if !self.is_initial {
            self.away.push((planned, Nanos::MAX));
        }
        let identity = Identity {
            client: self.client,
            writes: self.writer.is_some(),
            is_full: self.is_full,
            wake: Rc::clone(&self.wake),
        };
        let present = PresentMember::new(context, meter, identity, planned);
        self.attendance = Attendance::Present(Box::new(present));
        match self.present_mut() {
            Some(present) => present.open_initial(context),
            None => Ok(()),
        }
    }

    /// Lets the client leave for good, and frees what it held.
    pub(super) fn depart(&mut self) {
        self.attendance = Attendance::Gone;
    }

    /// Lets the client end with its room. What it held is not freed: a library
    /// that has panicked may do so again, or wait for ever, when its documents
    /// are dropped.
    pub(super) fn abandon(&mut self) {
        std::mem::forget(std::mem::replace(&mut self.attendance, Attendance::Gone));
    }

    /// The client while it takes part; `None` before it has arrived and after
    /// it has left.
    pub fn present(&self) -> Option<&PresentMember> {
        match &self.attendance {
            Attendance::Present(present) => Some(present),
            Attendance::Absent | Attendance::Gone => None,
        }
    }

    /// The client while it takes part, to change it.
    pub fn present_mut(&mut self) -> Option<&mut PresentMember> {
        match &mut self.attendance {
            Attendance::Present(present) => Some(present),
            Attendance::Absent | Attendance::Gone => None,
        }
    }

    /// The client's state.
    pub fn state(&self) -> MemberState {
        match &self.attendance {
            Attendance::Absent => MemberState::Absent,
            Attendance::Present(present) => present.state(),
            Attendance::Gone => MemberState::Gone,
        }
    }

    /// Returns true if the client is caught up.
    pub fn is_live(&self) -> bool {
        self.state() == MemberState::Live
    }

    /// Returns true if the scenario keeps the client away now.
    pub fn is_away(&self) -> bool {
        self.away.last().is_some_and(|away| away.1 == Nanos::MAX)
    }

    /// Notes that the scenario takes the client away now. It is back once it
    /// has caught up.
    pub fn go_away(&mut self, now: Nanos) {
        if !self.is_away() {
            self.away.push((now, Nanos::MAX));
        }
    }

    /// Returns true if the client arrived late, or lost its connection after it had
    /// arrived.
    pub fn was_ever_absent(&self) -> bool {
        self.missed_some
    }

    /// Returns true if the scenario kept the client away at any time from `from` to
    /// `to`.
    pub(super) fn was_away(&self, from: Nanos, to: Nanos) -> bool {
        let latest = self.away.iter().rev();
        let mut near = latest.take_while(|(_, end)| *end >= from);
        near.any(|(start, _)| *start <= to)
    }

    /// Notes that the client is caught up at `now`.
    pub(super) fn caught_up(&mut self, now: Nanos) {
        if let Some(present) = self.present_mut() {
            present.caught_up(now);
        }
        if let Some(away) = self.away.last_mut()
            && away.1 == Nanos::MAX
        {
            away.1 = now;
        }
    }

    /// Notes that the connection is gone. The client may come back from `back`
    /// on.
    pub fn disconnected(&mut self, back: Nanos) {
        self.missed_some = true;
        if let Some(present) = self.present_mut() {
            present.disconnected(back);
        }
    }

    /// Replaces the link by one without faults, for a new connection.
    pub fn renew_link(&mut self) -> Rc<LinkHandle> {
        self.link = Rc::default();
        Rc::clone(&self.link)
    }

    /// Returns true if everything that the client edited has been written, and
    /// acknowledged by relays that do that.
    pub fn has_sent_all(&self) -> bool {
        self.present().is_none_or(PresentMember::has_sent_all)
    }
}
