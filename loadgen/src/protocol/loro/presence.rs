//! Presence as the protocol's clients encode it: the states of users by key, in
//! Loro's `EphemeralStore`.

use bytes::Bytes;
use loro::LoroValue;
use loro::awareness::EphemeralStore;

/// The time after which a state is out of date, milliseconds: never, as a state
/// is encoded when it is made and decoded when it arrives.
const TIMEOUT: i64 = i64::MAX;

/// Encodes the state that the user called `key` has now.
pub(super) fn encode(key: &str, state: &[u8]) -> Vec<u8> {
    let store = EphemeralStore::new(TIMEOUT);
    store.set(key, state);
    store.encode(key)
}

/// Decodes the states of an update, by key. Those of other applications, which
/// may have any form, are left out.
///
/// # Errors
/// If the bytes are not an encoded store.
pub(super) fn decode(update: &[u8]) -> Result<Vec<(String, Bytes)>, Box<str>> {
    let store = EphemeralStore::new(TIMEOUT);
    store.apply(update)?;
    let states = store.get_all_states().into_iter();
    let states = states.filter_map(|(key, value)| match value {
        LoroValue::Binary(state) => Some((key, Bytes::from(state.to_vec()))),
        _ => None,
    });
    Ok(states.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_decoded_as_it_was_encoded() {
        let update = encode("7", &[1, 2, 3]);
        let decoded = decode(&update).unwrap();
        assert_eq!(decoded, [("7".to_owned(), vec![1, 2, 3].into())]);
    }

    #[test]
    fn a_store_with_several_users_and_foreign_states_is_decoded() {
        let store = EphemeralStore::new(30_000);
        store.set("1", &[1][..]);
        store.set("2", &[2][..]);
        store.set("app", "a name");
        store.set("gone", &[3][..]);
        store.delete("gone");
        let mut decoded = decode(&store.encode_all()).unwrap();
        decoded.sort();
        let expected = [("1", [1]), ("2", [2])];
        assert_eq!(
            decoded,
            expected.map(|(key, state)| (key.to_owned(), state.to_vec().into()))
        );
    }

    #[test]
    fn bytes_that_are_no_store_are_refused() {
        let update = encode("7", &[9; 40]);
        assert!(decode(&[0xff; 64]).is_err());
        assert!(decode(&update[..update.len() - 20]).is_err());
    }
}
