//! The frames of loro-protocol version 1, for client and relay: the crate's
//! codec, with the checks and the splitting that it leaves to its users.

use bytes::Bytes;
use loro_protocol::{
    BatchId, BytesReader, CrdtType, MAX_MESSAGE_SIZE, MessageType, ProtocolMessage,
};

/// The largest number of bytes of an update in one fragment.
pub(crate) const FRAGMENT_BYTES: usize = 240 * 1024;

/// The largest total size of the updates in one frame, bytes, so that they fit
/// together with their headers.
const PACKED_BYTES: usize = FRAGMENT_BYTES;

/// The text frame that asks the other side for a sign of life.
pub(crate) const PING: &str = "ping";

/// The answer to [`PING`].
pub(crate) const PONG: &str = "pong";

/// The reason why a message cannot be sent, or why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WireError(String);

/// Encodes a message as a frame.
///
/// # Errors
/// If the frame exceeds 256 KiB, or the room's name 128 bytes.
pub(crate) fn encode(message: &ProtocolMessage) -> Result<Bytes, WireError> {
    let frame = loro_protocol::encode(message).map_err(WireError)?;
    Ok(frame.into())
}

/// Decodes the message in a frame.
///
/// # Errors
/// If the bytes are not a frame, or exceed 256 KiB.
pub(crate) fn decode(frame: &[u8]) -> Result<ProtocolMessage, WireError> {
    // The crate checks neither the size nor the count.
    if frame.len() > MAX_MESSAGE_SIZE {
        return Err(WireError(format!("{} bytes in a frame", frame.len())));
    }
    check_count(frame).map_err(WireError)?;
    loro_protocol::decode(frame).map_err(WireError)
}

/// Checks the number of updates that a DocUpdate announces. The codec allocates
/// memory for that number before it reads the updates: nine hostile bytes would
/// end the process.
fn check_count(frame: &[u8]) -> Result<(), String> {
    let mut reader = BytesReader::new(frame);
    reader.read_bytes(4)?;
    reader.read_var_bytes()?;
    if reader.read_byte()? != MessageType::DocUpdate as u8 {
        return Ok(());
    }
    let count = reader.read_uleb128()?;
    match count <= reader.remaining() as u64 {
        true => Ok(()),
        false => Err(format!("{count} updates in {} bytes", frame.len())),
    }
}

/// Encodes one update: as a DocUpdate if that is short enough, otherwise as
/// fragments.
///
/// # Errors
/// If the room's name exceeds 128 bytes.
pub(crate) fn update_frames(
    room: &str,
    batch: BatchId,
    update: Vec<u8>,
) -> Result<Vec<Bytes>, WireError> {
    let mut updates = vec![update];
    match doc_update(room, batch, &mut updates) {
        Ok(frame) => Ok(vec![frame]),
        Err(_) => fragment_frames(room, batch, &updates.concat()),
    }
}

/// Encodes many updates, with as many in each frame as fit. Batch ids count up
/// from `first`.
///
/// # Errors
/// If the room's name exceeds 128 bytes.
pub(crate) fn packed_frames(
    room: &str,
    first: u64,
    updates: &[Bytes],
) -> Result<Vec<Bytes>, WireError> {
    let mut frames = Vec::new();
    let mut rest = updates;
    let mut next = first;
    while let Some(first) = rest.first() {
        let (packed, unpacked) = rest.split_at(fitting(rest).max(1));
        let batch = BatchId(next.to_be_bytes());
        match packed {
            [_] => frames.extend(update_frames(room, batch, first.to_vec())?),
            _ => {
                let mut packed: Vec<_> = packed.iter().map(|update| update.to_vec()).collect();
                frames.push(doc_update(room, batch, &mut packed)?);
            }
        }
        next = next.wrapping_add(1);
        rest = unpacked;
    }
    Ok(frames)
}

/// Returns how many of `updates`, from the first one on, fit in one frame.
fn fitting(updates: &[Bytes]) -> usize {
    let mut bytes = 0;
    updates
        .iter()
        .take_while(|update| {
            // Four bytes for a length of up to 256 KiB.
            bytes += update.len() + 4;
            bytes <= PACKED_BYTES
        })
        .count()
}

/// Encodes `updates` as one DocUpdate. The codec needs to own them, so they are
/// moved out and back.
fn doc_update(room: &str, batch: BatchId, updates: &mut Vec<Vec<u8>>) -> Result<Bytes, WireError> {
    let message = ProtocolMessage::DocUpdate {
        crdt: CrdtType::Loro,
        room_id: room.to_owned(),
        updates: std::mem::take(updates),
        batch_id: batch,
    };
    let frame = encode(&message);
    if let ProtocolMessage::DocUpdate { updates: owned, .. } = message {
        *updates = owned;
    }
    frame
}

fn fragment_frames(room: &str, batch: BatchId, update: &[u8]) -> Result<Vec<Bytes>, WireError> {
    let fragments = update.chunks(FRAGMENT_BYTES);
    let header = ProtocolMessage::DocUpdateFragmentHeader {
        crdt: CrdtType::Loro,
        room_id: room.to_owned(),
        batch_id: batch,
        fragment_count: fragments.len() as u64,
        total_size_bytes: update.len() as u64,
    };
    let fragments =
        (0..)
            .zip(fragments)
            .map(|(index, fragment)| ProtocolMessage::DocUpdateFragment {
                crdt: CrdtType::Loro,
                room_id: room.to_owned(),
                batch_id: batch,
                index,
                fragment: fragment.to_vec(),
            });
    std::iter::once(header)
        .chain(fragments)
        .map(|message| encode(&message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_exceeds_the_frame_is_refused() {
        let mut frame = b"%LOR\x01r\x03".to_vec();
        frame.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        frame.extend([0; 8]);
        assert!(decode(&frame).is_err());
    }

    #[test]
    fn an_update_that_exceeds_256_kib_is_sent_in_fragments() {
        // 4 magic, 1 + 1 room, 1 type, 1 count, 3 length, 8 batch id.
        let around = 19;
        let longest = vec![7; MAX_MESSAGE_SIZE - around];
        let whole = update_frames("r", BatchId([0; 8]), longest).unwrap();
        assert_eq!(
            whole.iter().map(Bytes::len).collect::<Vec<_>>(),
            [MAX_MESSAGE_SIZE]
        );
        let cut = update_frames("r", BatchId([0; 8]), vec![7; MAX_MESSAGE_SIZE - around + 1]);
        assert_eq!(cut.unwrap().len(), 3, "a header and two fragments");
    }

    #[test]
    fn many_updates_share_frames_and_keep_their_order() {
        let updates: Vec<Bytes> = (0..100_u8)
            .map(|byte| vec![byte; usize::from(byte) * 200].into())
            .chain([vec![1; 300_000].into(), vec![2; 3].into()])
            .collect();
        let frames = packed_frames("r", 0, &updates).unwrap();
        assert!(frames.len() < 12, "{}", frames.len());
        assert!(frames.iter().all(|frame| frame.len() <= MAX_MESSAGE_SIZE));
        let mut seen = Vec::new();
        for frame in &frames {
            match decode(frame).unwrap() {
                ProtocolMessage::DocUpdate { updates, .. } => seen.extend(updates.concat()),
                ProtocolMessage::DocUpdateFragment { fragment, .. } => seen.extend(fragment),
                _ => {}
            }
        }
        assert_eq!(seen, updates.concat());
    }
}
