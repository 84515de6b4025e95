//! A document and an update that repeats operations of it, on which Loro 1.17.1
//! panics. The page `docs/findings/repeated-operations.md` explains it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use syncbench_engines::{
    Engine, EngineError, Export, Loro, OpRange, PeerId, Replica, VersionVector,
};

const WRITER: PeerId = 1;
const OTHER: PeerId = 2;
const SERVER: PeerId = 3;

/// The turns of each of the two.
const TURNS: usize = 10;

/// The turn in which the writer deletes a character instead of typing one.
const DELETION: usize = 4;

/// A document that two replicas typed in turns, and the next edit of one of them.
pub struct Repeated {
    /// The document as it is stored by a server that opens it for each update.
    pub snapshot: Vec<u8>,
    /// The operations of the document.
    pub history: Vec<u8>,
    /// The next edit of the writer.
    pub edit: Vec<u8>,
    /// The same edit, after all earlier operations of the writer.
    pub repeating: Vec<u8>,
}

impl Repeated {
    /// Types a document that follows from `seed`.
    ///
    /// # Errors
    /// When Loro refuses an edit, an export or an import.
    pub fn new(seed: u64) -> Result<Self, EngineError> {
        let mut random = StdRng::seed_from_u64(seed);
        let [mut writer, mut other] = [WRITER, OTHER].map(|peer| Loro.replica(peer));
        let mut snapshot = None;
        for turn in 0..TURNS {
            for is_writer in [true, false] {
                let (from, to) = match is_writer {
                    true => (&mut writer, &mut other),
                    false => (&mut other, &mut writer),
                };
                let deleted = usize::from(is_writer && turn == DELETION);
                let update = edit(from.as_mut(), deleted, &mut random)?;
                to.import(&update)?;
                snapshot = Some(stored(snapshot.as_deref(), &update)?);
            }
        }
        let history = writer.export(Export::Updates {
            since: &VersionVector::default(),
        })?;
        let edit = edit(writer.as_mut(), 0, &mut random)?;
        let repeating = writer.export(Export::Range(OpRange {
            peer: WRITER,
            counters: 0..writer.own_counter(),
        }))?;
        Ok(Self {
            snapshot: snapshot.unwrap_or_default(),
            history,
            edit,
            repeating,
        })
    }
}

/// Types a character, or deletes some, at a random position. Returns the update.
fn edit(
    replica: &mut dyn Replica,
    deleted: usize,
    random: &mut StdRng,
) -> Result<Vec<u8>, EngineError> {
    let since = replica.version_vector();
    let length = replica.text_len();
    let position = random.random_range(0..=length - deleted);
    let letter = char::from(random.random_range(b'a'..=b'z')).to_string();
    let inserted = if deleted == 0 { letter.as_str() } else { "" };
    replica.splice(position, deleted, inserted)?;
    replica.commit();
    replica.export(Export::Updates { since: &since })
}

/// Opens a stored document, imports an update, and stores it again.
fn stored(document: Option<&[u8]>, update: &[u8]) -> Result<Vec<u8>, EngineError> {
    let mut server = Loro.replica(SERVER);
    if let Some(document) = document {
        server.import(document)?;
    }
    server.import(update)?;
    server.export(Export::Snapshot)
}
