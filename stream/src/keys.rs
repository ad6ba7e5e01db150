//! Keys that records are encrypted with at rest.
//!
//! Promises that what is sealed can be read, or changed unseen, by nobody who has not the key, and that a key is never
//! shown. Must not know what is sealed, or where keys come from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use sha2::{Digest, Sha256};

/// Bytes of a key of AES-256.
pub const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// What sealing adds: the tag, and the nonce.
pub(crate) const SEAL_BYTES: usize = TAG_BYTES + NONCE_BYTES;

/// Tells a key from all others, and nothing else of it: never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPrint(u64);

impl KeyPrint {
    fn of(key: &[u8; KEY_BYTES]) -> Self {
        let digest = Sha256::new().chain_update(b"tidemill: print of a key").chain_update(key).finalize();
        let first = digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Self(first.max(1))
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for KeyPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// AES-256-GCM under one key (NIST SP 800-38D).
#[derive(Clone)]
pub(crate) struct Cipher(Arc<Aes256Gcm>);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Arc::new(Aes256Gcm::new(&(*key).into())))
    }

    /// Seals what the buffer holds from `start` on, in its place; tag and nonce follow. `None` for more than 64 GiB.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        header: &[u8],
        buffer: &mut Vec<u8>,
        start: usize,
    ) -> Option<()> {
        let text = buffer.get_mut(start..)?;
        let tag = self.0.encrypt_inout_detached(&Nonce::from(nonce), header, text.into()).ok()?;
        buffer.extend_from_slice(&tag);
        buffer.extend_from_slice(&nonce);
        Some(())
    }

    /// What was sealed, with the same header; `None` when it is not whole or another key sealed it.
    pub(crate) fn open(&self, header: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (rest, nonce) = sealed.split_last_chunk_mut::<NONCE_BYTES>()?;
        let (text, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        let (nonce, tag, len) = (Nonce::from(*nonce), Tag::from(*tag), text.len());
        self.0.decrypt_inout_detached(&nonce, header, text.into(), &tag).ok()?;
        sealed.truncate(len);
        Some(sealed)
    }
}

/// The keys that a node was given, by name. Two names may stand for one key.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<Keys>);

#[derive(Debug, Default)]
struct Keys {
    by_name: BTreeMap<String, KeyPrint>,
    by_print: BTreeMap<KeyPrint, Cipher>,
}

impl Keyring {
    /// These keys. Of a name that is there twice the last counts.
    pub fn new(keys: impl IntoIterator<Item = (String, [u8; KEY_BYTES])>) -> Self {
        let mut all = Keys::default();
        for (name, key) in keys {
            let print = KeyPrint::of(&key);
            all.by_print.insert(print, Cipher::new(&key));
            all.by_name.insert(name, print);
        }
        Self(Arc::new(all))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.by_name.is_empty()
    }

    /// The key of this name.
    pub fn named(&self, name: &str) -> Option<KeyPrint> {
        self.0.by_name.get(name).copied()
    }

    /// Whether this key is there.
    pub fn holds(&self, print: KeyPrint) -> bool {
        self.0.by_print.contains_key(&print)
    }

    pub(crate) fn cipher(&self, print: KeyPrint) -> Option<&Cipher> {
        self.0.by_print.get(&print)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];

    fn sealed(text: &[u8], header: &[u8]) -> Vec<u8> {
        let mut buffer = [b"before".as_slice(), text].concat();
        Cipher::new(&KEY).seal([3; NONCE_BYTES], header, &mut buffer, 6).unwrap();
        assert_eq!(buffer.drain(..6).collect::<Vec<_>>(), b"before");
        buffer
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_with_its_key_and_header_alone(text: Vec<u8>, header: Vec<u8>, at: prop::sample::Index) {
            let whole = sealed(&text, &header);
            prop_assert_eq!(whole.len(), text.len() + SEAL_BYTES);
            let open = |key: [u8; KEY_BYTES], header: &[u8], bytes: &[u8]| Cipher::new(&key).open(header, bytes.to_vec());
            prop_assert_eq!(open(KEY, &header, &whole), Some(text));
            prop_assert_eq!(open([8; KEY_BYTES], &header, &whole), None);
            prop_assert_eq!(open(KEY, &[header.as_slice(), b"x"].concat(), &whole), None);
            prop_assert_eq!(open(KEY, &header, &whole[1..]), None);
            let mut changed = whole.clone();
            changed[at.index(whole.len())] ^= 1;
            prop_assert_eq!(open(KEY, &header, &changed), None);
        }
    }

    /// Test case 16 of the specification of GCM (2005).
    #[test]
    fn the_cipher_is_that_of_the_specification() {
        let hex = |text: &str| {
            let digits: Vec<u8> = text.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
            digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>()
        };
        let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let nonce = hex("cafebabefacedbaddecaf888");
        let text = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let header = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let expected = hex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        );
        let mut buffer = text;
        let cipher = Cipher::new(&key.try_into().unwrap());
        cipher.seal(nonce.clone().try_into().unwrap(), &header, &mut buffer, 0).unwrap();
        assert_eq!(buffer, [expected, nonce].concat());
    }

    #[test]
    fn a_ring_finds_keys_by_name_and_shows_none() {
        let ring = Keyring::new([("a".to_owned(), KEY), ("b".to_owned(), KEY), ("c".to_owned(), [9; KEY_BYTES])]);
        assert_eq!(ring.named("a"), ring.named("b"));
        assert_ne!(ring.named("a"), ring.named("c"));
        assert_eq!(ring.named("d"), None);
        assert!(ring.holds(ring.named("a").unwrap()) && !ring.is_empty() && Keyring::default().is_empty());
        let shown = format!("{ring:?}");
        assert!(shown.contains("Cipher") && !shown.contains("7, 7"), "{shown}");
    }
}
