//! The sabotage that serves half of a history as the whole.

use bytes::Bytes;
use loro_protocol::{CrdtType, ProtocolMessage};
use syncbench_engines::{Engine, Loro, VersionVector};
use tokio_tungstenite::tungstenite::Message;

use super::{State, ranges_of};

impl State {
    /// Holds the answer to a joiner back until the history arrives, and keeps only
    /// the first half of that.
    pub(super) fn make_stale(
        &mut self,
        message: &Message,
        joined: &mut Option<ProtocolMessage>,
    ) -> Option<Vec<Message>> {
        let Message::Binary(frame) = message else {
            return None;
        };
        match (loro_protocol::decode(frame).ok()?, joined.take()) {
            (
                answer @ ProtocolMessage::JoinResponseOk {
                    crdt: CrdtType::Loro,
                    ..
                },
                _,
            ) => {
                let ProtocolMessage::JoinResponseOk { version, .. } = &answer else {
                    return None;
                };
                if Loro.decode_version(version).ok()?.is_empty() {
                    return None;
                }
                *joined = Some(answer);
                Some(Vec::new())
            }
            (
                ProtocolMessage::DocUpdate {
                    crdt: CrdtType::Loro,
                    room_id,
                    mut updates,
                    batch_id,
                },
                Some(ProtocolMessage::JoinResponseOk {
                    crdt,
                    permission,
                    extra,
                    ..
                }),
            ) => {
                self.touched += 1;
                updates.truncate(updates.len() / 2);
                let known: VersionVector = updates
                    .iter()
                    .flat_map(|update| ranges_of(&Bytes::copy_from_slice(update)))
                    .map(|range| (range.peer, range.counters.end))
                    .collect();
                let answer = ProtocolMessage::JoinResponseOk {
                    crdt,
                    room_id: room_id.clone(),
                    permission,
                    version: Loro.encode_version(&known),
                    extra,
                };
                let history = ProtocolMessage::DocUpdate {
                    crdt,
                    room_id,
                    updates,
                    batch_id,
                };
                let frames = [answer, history].map(|m| loro_protocol::encode(&m).unwrap());
                Some(frames.map(|frame| Message::Binary(frame.into())).into())
            }
            (_, kept) => {
                *joined = kept;
                None
            }
        }
    }
}
