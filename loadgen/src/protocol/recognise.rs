//! Recognising what a relay speaks from a frame that is not of the run's
//! protocol, to tell the user what to change.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use loro_protocol::{BytesReader, MessageType};

use super::Frame;

/// The number of bytes of a frame that are shown.
const SHOWN_BYTES: usize = 16;

/// The first bytes of every frame of loro-protocol, by kind of document.
const LORO_MAGICS: [&[u8]; 7] = [
    b"%LOR", b"%EPH", b"%EPS", b"%YJS", b"%YAW", b"%ELO", b"%FLO",
];

/// The first bytes of every update and snapshot of Loro.
const UPDATE_MAGIC: &[u8] = b"loro";

/// The longest name of a document that is looked for, bytes.
const MAX_NAME: usize = 256;

/// What a relay speaks, as far as one of its frames tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// y-protocols, the protocol of y-websocket and other Yjs servers.
    Yjs,
    /// y-protocols behind the name of the document.
    Hocuspocus,
    /// Messages of automerge-repo in CBOR.
    AutomergeRepo,
    /// loro-protocol without batch ids.
    LoroV0,
    /// A join of loro-protocol, as clients send it: the relay forwards it unread.
    LoroJoin,
    /// loro-protocol version 1.
    LoroV1,
    /// Bare updates of Loro.
    Updates,
    /// Updates in text frames, which damage them.
    UpdatesAsText,
    /// JSON.
    Json,
    /// Bytes in base64.
    Base64,
}

impl Speaker {
    /// Recognises the sender of a frame.
    pub fn of(frame: &Frame) -> Option<Self> {
        let bytes = match frame {
            Frame::Binary(bytes) => bytes.as_ref(),
            Frame::Text(text) if text.as_bytes().starts_with(UPDATE_MAGIC) => {
                return Some(Self::UpdatesAsText);
            }
            Frame::Text(text) => return text_speaker(text),
            Frame::Ping => return None,
        };
        binary_speaker(bytes).or_else(|| text_speaker(str::from_utf8(bytes).ok()?))
    }

    /// What its frames are.
    pub fn message(self) -> &'static str {
        match self {
            Self::Yjs => "a message of y-protocols (Yjs)",
            Self::Hocuspocus => "a message of Hocuspocus (Yjs)",
            Self::AutomergeRepo => "a message of automerge-repo (CBOR)",
            Self::LoroV0 => "an update of loro-protocol version 0, which has no batch ids",
            Self::LoroJoin => "a JoinRequest of loro-protocol, forwarded from another client",
            Self::LoroV1 => "a message of loro-protocol",
            Self::Updates => "a bare Loro update",
            Self::UpdatesAsText => "a Loro update in a text frame, which damages it",
            Self::Json => "JSON",
            Self::Base64 => "base64",
        }
    }
}

fn binary_speaker(bytes: &[u8]) -> Option<Speaker> {
    if bytes.starts_with(UPDATE_MAGIC) {
        return Some(Speaker::Updates);
    }
    if LORO_MAGICS.iter().any(|magic| bytes.starts_with(magic)) {
        return Some(match message_type(bytes) {
            Ok(0) => Speaker::LoroJoin,
            _ if is_update_without_batch(bytes) => Speaker::LoroV0,
            _ => Speaker::LoroV1,
        });
    }
    if is_automerge_repo(bytes) {
        return Some(Speaker::AutomergeRepo);
    }
    if is_yjs(bytes).is_some() {
        return Some(Speaker::Yjs);
    }
    is_hocuspocus(bytes).map(|()| Speaker::Hocuspocus)
}

/// Whether `bytes` begin like `magic`, or like what damage left of it: one wrong
/// byte, or an end within it. Without a magic, whatever is not empty does.
pub fn resembles(bytes: &[u8], magic: &[u8]) -> bool {
    let pairs = bytes.iter().zip(magic);
    let wrong = pairs.filter(|(one, other)| one != other).count();
    !bytes.is_empty() && wrong <= usize::from(bytes.len() >= magic.len())
}

/// Whether `frame` may be one of loro-protocol that was damaged on its way.
pub fn resembles_loro_protocol(frame: &[u8]) -> bool {
    LORO_MAGICS.iter().any(|magic| resembles(frame, magic))
}

/// Whether a frame of loro-protocol holds updates and ends where the batch id of
/// version 1 would follow.
pub fn is_update_without_batch(frame: &[u8]) -> bool {
    let read_updates = || {
        let (kind, mut reader) = after_room(frame)?;
        if kind != MessageType::DocUpdate as u8 {
            return Err("no update".to_owned());
        }
        for _ in 0..reader.read_uleb128()? {
            reader.read_var_bytes()?;
        }
        Ok(reader.remaining())
    };
    read_updates() == Ok(0)
}

/// The type of a message of loro-protocol.
fn message_type(frame: &[u8]) -> Result<u8, String> {
    after_room(frame).map(|(kind, _)| kind)
}

/// Reads the head of a message of loro-protocol.
fn after_room(frame: &[u8]) -> Result<(u8, BytesReader<'_>), String> {
    let mut reader = BytesReader::new(frame);
    reader.read_bytes(4)?;
    reader.read_var_bytes()?;
    Ok((reader.read_byte()?, reader))
}

/// A map whose first key is `type`, as every message of automerge-repo is.
fn is_automerge_repo(bytes: &[u8]) -> bool {
    let key = match bytes.first() {
        Some(0xa1..=0xb7 | 0xbf) => bytes.get(1..),
        Some(0xb8) => bytes.get(2..),
        Some(0xb9) => bytes.get(3..),
        _ => None,
    };
    key.is_some_and(|key| key.starts_with(b"\x64type"))
}

/// One message of y-protocols, whose end is the end of the bytes.
fn is_yjs(bytes: &[u8]) -> Option<()> {
    let mut reader = BytesReader::new(bytes);
    match reader.read_uleb128().ok()? {
        // A sync message: its step, and a state vector or update.
        0 => (reader.read_uleb128().ok()? <= 2).then_some(())?,
        // The state of the users' awareness.
        1 => {}
        _ => return None,
    }
    reader.read_var_bytes().ok()?;
    (reader.remaining() == 0).then_some(())
}

/// The name of a document, and a message of y-protocols or of Hocuspocus' own.
fn is_hocuspocus(bytes: &[u8]) -> Option<()> {
    let mut reader = BytesReader::new(bytes);
    let name = reader.read_var_bytes().ok()?;
    let name = str::from_utf8(name).ok()?;
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
    let message = &bytes[bytes.len() - reader.remaining()..];
    match (is_name, message) {
        // Authentication with a text, the state of the sync, ping and pong.
        (true, [2, 0..=2, len, text @ ..]) if text.len() == usize::from(*len) => Some(()),
        (true, [8, 0 | 1] | [9 | 10] | [3]) => Some(()),
        // An answer to a sync message, which is one but for its type.
        (true, [4, rest @ ..]) => is_yjs(&[&[0], rest].concat()),
        (true, message) => is_yjs(message),
        (false, _) => None,
    }
}

fn text_speaker(text: &str) -> Option<Speaker> {
    let text = text.trim();
    if text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(text).is_ok() {
        return Some(Speaker::Json);
    }
    // Shorter words often are base64 by chance.
    let is_base64 = text.len() >= 16 && STANDARD.decode(text).is_ok();
    is_base64.then_some(Speaker::Base64)
}

/// Describes a frame, and what it looks like.
pub fn recognised(frame: &Frame) -> String {
    let description = description(frame);
    match Speaker::of(frame) {
        Some(speaker) => format!("{description} ({})", speaker.message()),
        None => description,
    }
}

/// Describes a frame: its kind, its size and its first bytes.
pub fn description(frame: &Frame) -> String {
    let kind = match frame {
        Frame::Binary(_) => "binary",
        Frame::Text(_) => "text",
        Frame::Ping => "ping",
    };
    if frame.is_empty() {
        return format!("an empty {kind} frame");
    }
    let more = if frame.len() > SHOWN_BYTES {
        " …"
    } else {
        ""
    };
    let start = match frame {
        Frame::Binary(bytes) => {
            let shown = bytes.iter().take(SHOWN_BYTES);
            let shown: Vec<String> = shown.map(|byte| format!("{byte:02x}")).collect();
            shown.join(" ")
        }
        Frame::Text(text) => {
            let shown = text.chars().take(SHOWN_BYTES);
            let shown = shown.map(|c| if c.is_control() { '·' } else { c });
            format!("`{}`", shown.collect::<String>())
        }
        Frame::Ping => String::new(),
    };
    let bytes = if frame.len() == 1 { "byte" } else { "bytes" };
    format!("a {kind} frame of {} {bytes}: {start}{more}", frame.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(bytes: &[u8]) -> Frame {
        Frame::Binary(bytes.to_vec().into())
    }

    fn hex(digits: &str) -> Frame {
        binary(&hex::decode(digits.replace(' ', "")).unwrap())
    }

    #[test]
    fn every_dialect_is_recognised_by_one_frame() {
        let text = |text: &str| Frame::Text(text.to_owned());
        for (frame, speaker) in [
            // Sync step 1 with an empty state vector, and an update.
            (hex("00 00 01 00"), Speaker::Yjs),
            (hex("00 02 03 010203"), Speaker::Yjs),
            // An awareness update without clients.
            (hex("01 01 00"), Speaker::Yjs),
            // `room-0`, then: authenticated as "read-write"; synced; step 1.
            (
                hex("06 726f6f6d2d30 02 02 0a 726561642d7772697465"),
                Speaker::Hocuspocus,
            ),
            (hex("06 726f6f6d2d30 08 01"), Speaker::Hocuspocus),
            (hex("06 726f6f6d2d30 00 00 01 00"), Speaker::Hocuspocus),
            (hex("06 726f6f6d2d30 04 01 02 0000"), Speaker::Hocuspocus),
            // {"type": "peer", "senderId": "s"}, short and with a 16-bit length.
            (
                hex("a2 6474797065 6470656572 6873656e6465724964 6173"),
                Speaker::AutomergeRepo,
            ),
            (
                hex("b90002 6474797065 6470656572 6873656e6465724964 6173"),
                Speaker::AutomergeRepo,
            ),
            // An update to room `r` with one update of a byte: without a batch
            // id, and with one.
            (hex("254c4f52 0172 03 01 01 aa"), Speaker::LoroV0),
            (
                hex("254c4f52 0172 03 01 01 aa 0000000000000001"),
                Speaker::LoroV1,
            ),
            (hex("254c4f52 0172 07"), Speaker::LoroV1),
            (hex("254c4f52 0172 00 00 00"), Speaker::LoroJoin),
            (binary(b"loro\0\0\0\0"), Speaker::Updates),
            (text("loro\u{fffd}\u{fffd}"), Speaker::UpdatesAsText),
            (text(r#" {"type":"welcome"}"#), Speaker::Json),
            (binary(br#"["hello"]"#), Speaker::Json),
            (text("bG9ybwAAAAAAAAAAAAAA"), Speaker::Base64),
        ] {
            assert_eq!(Speaker::of(&frame), Some(speaker), "{frame:?}");
        }
    }

    #[test]
    fn greetings_heartbeats_and_noise_are_nobody_s() {
        for frame in [
            Frame::Text("hello?".to_owned()),
            Frame::Text("ping".to_owned()),
            Frame::Text(String::new()),
            binary(&[]),
            binary(&[0]),
            binary(&[9]),
            binary(&[0xa7; 300]),
        ] {
            assert_eq!(Speaker::of(&frame), None, "{frame:?}");
        }
    }

    #[test]
    fn a_damaged_update_still_resembles_one() {
        for (bytes, is_update) in [
            (&b"loro, and more"[..], true),
            (b"lorn, and more", true),
            (b"\0oro", true),
            (b"lor", true),
            (b"l", true),
            (b"", false),
            (b"lox", false),
            (b"lxrx", false),
            (b"hello", false),
        ] {
            assert_eq!(resembles(bytes, UPDATE_MAGIC), is_update, "{bytes:?}");
            assert_eq!(resembles(bytes, b""), !bytes.is_empty());
        }
    }

    #[test]
    fn a_frame_is_described_by_its_kind_and_first_bytes() {
        for (frame, described) in [
            (hex("00 00 01 00"), "a binary frame of 4 bytes: 00 00 01 00"),
            (
                binary(&[7; 17]),
                "a binary frame of 17 bytes: 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 …",
            ),
            (
                Frame::Text("\"a\"\n".to_owned()),
                "a text frame of 4 bytes: `\"a\"·`",
            ),
            (binary(&[]), "an empty binary frame"),
        ] {
            assert_eq!(description(&frame), described);
        }
    }
}
