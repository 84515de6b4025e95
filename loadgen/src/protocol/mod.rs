//! The protocols between client and relay: state machines without I/O, so that
//! they are tested with bytes and run over any stream.

mod broadcast;
pub(crate) mod loro;
pub mod recognise;

use bytes::Bytes;

use serde::{Deserialize, Serialize};

/// The protocols that clients and relays speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProtocolKind {
    /// Raw updates in binary frames, forwarded to all others in the room; the relay keeps nothing
    Broadcast,
    /// loro-protocol version 1: joins, acknowledged updates, presence, rooms with a history
    Loro,
}

impl ProtocolKind {
    /// The protocol's name in scenarios and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Loro => "loro",
        }
    }

    /// Returns whether its relays keep the history that a late joiner needs.
    pub fn remembers(self) -> bool {
        match self {
            Self::Broadcast => false,
            Self::Loro => true,
        }
    }

    /// Returns whether clients show their credentials when they join a room.
    pub fn takes_join_auth(self) -> bool {
        match self {
            Self::Broadcast => false,
            Self::Loro => true,
        }
    }

    /// Returns whether it carries presence messages.
    pub fn carries_presence(self) -> bool {
        match self {
            Self::Broadcast => false,
            Self::Loro => true,
        }
    }
}

/// One WebSocket message that a session sends or receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A binary message.
    Binary(Bytes),
    /// A text message.
    Text(String),
    /// A ping of WebSocket itself, to be sent only.
    Ping,
}

impl Frame {
    /// Returns the size of the payload, bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Binary(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            Self::Ping => 0,
        }
    }

    /// Returns whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Identifies an update until the relay has acknowledged it: the number of
/// updates that this client sent before it, over all its sessions.
pub type UpdateId = u64;

/// One client's side of a session with a relay, in one room. It outlives
/// connections: after a lost one, [`Protocol::open`] begins the next session.
pub trait Protocol {
    /// Begins a session over a new connection, of a replica at `version` (in
    /// the engine's encoding). The frames to send go to `out`. A message that was
    /// received in part is forgotten.
    fn open(&mut self, version: Vec<u8>, out: &mut Vec<Frame>) -> JoinMode;

    /// Adds the frames that send `update` to the room to `out`. Where the relay
    /// acknowledges updates, [`Event::Acknowledged`] will name `id`.
    fn send(&mut self, id: UpdateId, update: Vec<u8>, out: &mut Vec<Frame>);

    /// Returns whether the relay acknowledges updates.
    fn acknowledges(&self) -> bool;

    /// Returns the frame with the presence of this client's user, who is called
    /// `key`; `None` where the protocol carries none.
    fn presence(&mut self, key: &str, state: &[u8]) -> Option<Frame>;

    /// Returns the frame that asks the relay for a sign of life; whatever the relay
    /// sends next is an answer.
    fn keepalive(&self) -> Frame {
        Frame::Ping
    }

    /// Takes a frame from the relay and adds its meaning to `events`.
    ///
    /// # Errors
    /// If the frame is damaged, or not of this protocol. The session can go on
    /// with the next one.
    fn receive(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), ProtocolError>;
}

/// The way in which a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinMode {
    /// The session may send at once.
    Joined,
    /// The session must wait for [`Event::Joined`].
    Joining,
}

/// The meaning of a frame from the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The relay has let the client in, and has the operations of this version
    /// (in the engine's encoding); those that the client lacks will come as
    /// updates.
    Joined {
        /// The version that the relay has.
        version: Vec<u8>,
    },
    /// The relay does not let the client in.
    Refused(String),
    /// An update to import.
    Update(Bytes),
    /// The relay has accepted the update that was sent under this id.
    Acknowledged(UpdateId),
    /// The relay has refused the update that was sent under this id.
    Rejected {
        /// The update's id.
        id: UpdateId,
        /// The relay's reason.
        reason: String,
    },
    /// The relay has let the client in to the presence of the room's users.
    PresenceJoined,
    /// The relay does not let the client in to the presence of the room's users,
    /// or has evicted it from there.
    PresenceRefused(String),
    /// The relay has refused a message with the presence of this client's user.
    PresenceRejected(String),
    /// The presence of a user of the room.
    Presence {
        /// The name under which the user shows it.
        key: String,
        /// The state of the user.
        state: Bytes,
    },
    /// The relay gave a sign of life.
    Alive,
    /// The relay asks for this frame: send it, before anything that waits.
    Answer(Frame),
    /// The relay has evicted the client from the room.
    Evicted(String),
}

/// A frame from the relay that has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A frame of the protocol that cannot be read: what it held is gone.
    #[error("the relay sent a damaged frame of the {protocol} protocol: {reason}")]
    Damaged {
        /// The protocol's name.
        protocol: &'static str,
        /// The fault of the frame.
        reason: String,
    },
    /// A frame of something else: a greeting, a heartbeat, another protocol.
    #[error(
        "the relay sent a frame that is not of the {protocol} protocol, {}",
        recognise::recognised(.frame)
    )]
    Unexpected {
        /// The protocol's name.
        protocol: &'static str,
        /// The frame.
        frame: Frame,
    },
}

/// Creates the client's side of a session in `room`, for updates that begin with
/// `magic`, which it joins with the credentials `auth` where the protocol takes
/// them. The protocol `loro` has no room names of more than 128 bytes: such a
/// session sends nothing and never joins.
pub fn session(
    kind: ProtocolKind,
    room: &str,
    magic: &'static [u8],
    auth: Vec<u8>,
) -> Box<dyn Protocol> {
    match kind {
        ProtocolKind::Broadcast => Box::new(broadcast::Broadcast { magic }),
        ProtocolKind::Loro => Box::new(loro::Loro::new(room).with_auth(auth)),
    }
}
