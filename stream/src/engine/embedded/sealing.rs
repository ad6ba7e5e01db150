//! Segments whose records are encrypted.
//!
//! A segment of an encrypted log has a random data key of its own, which stands in its header, sealed by the log's key
//! with the header's fields as associated data. Each block of records is sealed by the data key, with what its frame's
//! head says of it. Checksums are over what is on the disk, so a torn frame is found, and a log checked, without a key.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::bytes::Fields;
use super::frame::{ALIGN, Body, BodyBlock};
use crate::clock::Timestamp;
use crate::engine::{LogError, LogId, Position};
use crate::keys::{Cipher, KEY_BYTES, KeyPrint, Keyring, NONCE_BYTES, SEAL_BYTES};
use crate::shard::ShardIndex;

/// A data key as it stands at the end of a header: the print of the key that seals it u64, the sealed key, CRC32C u32.
pub(super) const SEALED_KEY_BYTES: usize = 8 + KEY_BYTES + SEAL_BYTES + 4;

/// The data key of a segment.
#[derive(Debug)]
pub(super) struct DataKey {
    /// The key that seals it.
    pub(super) print: KeyPrint,
    sealed: Vec<u8>,
    /// The fields of the segment's header.
    header: Vec<u8>,
    cipher: OnceLock<Cipher>,
}

impl DataKey {
    /// A new one.
    pub(super) fn random(log: LogId, print: KeyPrint, keys: &Keyring, header: Vec<u8>) -> Result<Arc<Self>, LogError> {
        let random = |bytes: &mut [u8]| {
            getrandom::fill(bytes).map_err(|error| {
                let reason = format!("no random numbers: {error}");
                LogError::Unavailable { log, reason }
            })
        };
        let (mut key, mut nonce) = ([0; KEY_BYTES], [0; NONCE_BYTES]);
        random(&mut key)?;
        random(&mut nonce)?;
        let no_key = || LogError::NoKey { log, key: print };
        let mut sealed = key.to_vec();
        keys.cipher(print).and_then(|cipher| cipher.seal(nonce, &header, &mut sealed, 0)).ok_or_else(no_key)?;
        Ok(Arc::new(Self { print, sealed, header, cipher: OnceLock::from(Cipher::new(&key)) }))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = [&self.print.number().to_le_bytes(), self.sealed.as_slice()].concat();
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8], header: Vec<u8>) -> Option<Arc<Self>> {
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        if bytes.len() != SEALED_KEY_BYTES || crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut fields = Fields(checked);
        let print = KeyPrint::from_number(fields.u64()?)?;
        Some(Arc::new(Self { print, sealed: fields.0.to_vec(), header, cipher: OnceLock::new() }))
    }

    fn cipher(&self, log: LogId, keys: &Keyring) -> Result<&Cipher, LogError> {
        if let Some(cipher) = self.cipher.get() {
            return Ok(cipher);
        }
        let no_key = || LogError::NoKey { log, key: self.print };
        let key = keys.cipher(self.print).and_then(|cipher| cipher.open(&self.header, self.sealed.clone()));
        let key: [u8; KEY_BYTES] = key.and_then(|key| key.try_into().ok()).ok_or_else(no_key)?;
        Ok(self.cipher.get_or_init(|| Cipher::new(&key)))
    }

    /// The records of a block that was sealed. `None`: they are not what was written.
    pub(super) fn open(
        &self,
        log: LogId,
        keys: &Keyring,
        block: &Sealed,
        bytes: Vec<u8>,
    ) -> Result<Option<Bytes>, LogError> {
        Ok(self.cipher(log, keys)?.open(&block.header(), bytes).map(Bytes::from))
    }

    /// Seals the blocks of these bodies, whose records take positions from `first` on.
    pub(super) fn seal(
        &self,
        log: LogId,
        keys: &Keyring,
        (first, arrival): (Position, Timestamp),
        bodies: &[Body],
    ) -> Result<Vec<Body>, LogError> {
        let mut nonces = Nonces::random(log)?;
        let cipher = self.cipher(log, keys)?;
        let mut first = first.0;
        let mut sealed = Vec::with_capacity(bodies.len());
        for body in bodies {
            let mut bytes = Vec::with_capacity(body.bytes.len() + growth(std::slice::from_ref(body)));
            let mut blocks = Vec::with_capacity(body.blocks.len());
            for block in &body.blocks {
                let BodyBlock { shard, count, .. } = *block;
                let header = Sealed { shard, count, first: Position(first), arrival }.header();
                first += u64::from(count);
                let start = bytes.len();
                bytes.extend_from_slice(body.text(block));
                let too_large = || LogError::Unavailable { log, reason: "a block is too large to encrypt".to_owned() };
                cipher.seal(nonces.next(), &header, &mut bytes, start).ok_or_else(too_large)?;
                blocks.push(BodyBlock::new(shard, count, &bytes, start));
            }
            bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
            sealed.push(Body { bytes, records: body.records, blocks });
        }
        Ok(sealed)
    }
}

/// Bytes that sealing adds to these bodies at most.
pub(super) fn growth(bodies: &[Body]) -> usize {
    bodies.iter().map(|body| body.blocks.len() * SEAL_BYTES + ALIGN).sum()
}

/// What is associated with a sealed block.
pub(super) struct Sealed {
    pub(super) shard: ShardIndex,
    pub(super) count: u32,
    pub(super) first: Position,
    pub(super) arrival: Timestamp,
}

impl Sealed {
    fn header(&self) -> [u8; 24] {
        let shard_and_count = u64::from(self.shard.0) << 32 | u64::from(self.count);
        let fields = [shard_and_count, self.first.0, self.arrival.as_millis()].map(u64::to_le_bytes);
        let mut header = [0; 24];
        header.iter_mut().zip(fields.as_flattened()).for_each(|(byte, field)| *byte = *field);
        header
    }
}

/// The nonces of a frame's blocks: a random one, counted on.
struct Nonces(u128);

impl Nonces {
    fn random(log: LogId) -> Result<Self, LogError> {
        let mut bytes = [0; 16];
        let failed = |error| LogError::Unavailable { log, reason: format!("no random numbers: {error}") };
        getrandom::fill(&mut bytes).map_err(failed)?;
        Ok(Self(u128::from_le_bytes(bytes)))
    }

    fn next(&mut self) -> [u8; NONCE_BYTES] {
        self.0 = self.0.wrapping_add(1);
        self.0.to_le_bytes().first_chunk().copied().unwrap_or_default()
    }
}
