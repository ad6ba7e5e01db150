//! What must hold for the reader whatever bytes it is given: the fuzzers' and the tests' judge.
//!
//! It panics when a promise is broken.

use super::{from_slice, to_vec};
use crate::{
    CreateStreamRequest, ErrorBody, GetRecordsResponse, GetShardIteratorRequest, ListShardsResponse, PutRecordRequest,
    PutRecordsRequest,
};

/// Reads the bytes as each of these shapes. What can be read can be written, and read again as the same.
macro_rules! check {
    ($bytes:expr, $($shape:ty),* $(,)?) => {$(
        if let Ok(shape) = from_slice::<$shape>($bytes) {
            let written = to_vec(&shape).unwrap_or_default();
            let again = from_slice::<$shape>(&written);
            assert!(again.as_ref().is_ok_and(|again| *again == shape), "{shape:?} is read again as {again:?}");
        }
    )*};
}

/// The bytes as shapes of every kind: texts that are borrowed or not, blobs, times, lists, maps.
pub fn shapes(bytes: &[u8]) {
    check!(
        bytes,
        PutRecordsRequest<'_>,
        PutRecordRequest<'_>,
        GetShardIteratorRequest,
        CreateStreamRequest,
        GetRecordsResponse<'_>,
        ListShardsResponse,
        ErrorBody,
    );
}
