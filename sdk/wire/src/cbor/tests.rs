use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::{
    AccountSettingsResponse, Blob, CreateStreamRequest, GetRecordsResponse, GetShardIteratorRequest,
    ListStreamsResponse, PutRecordRequest, PutRecordsEntry, PutRecordsRequest, PutRecordsResponse, Record,
    StreamModeDetails, Tag, Text, Timestamp,
};

/// A row of hexadecimal digits, with spaces where they help, and texts in quotes: `a1 61 'k' 01`.
fn bytes(notation: &str) -> Vec<u8> {
    let word = |word: &str| match word.strip_prefix('\'') {
        Some(text) => text.trim_end_matches('\'').as_bytes().to_vec(),
        None => word
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect(),
    };
    notation.split_whitespace().flat_map(word).collect()
}

/// Read and written as these bytes.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(shape: &T, notation: &str) {
    let expected = bytes(notation);
    let written = to_vec(shape).unwrap();
    assert_eq!(written, expected, "{shape:?} is written as {written:02x?}");
    assert_eq!(&from_slice::<T>(&expected).unwrap(), shape);
}

/// A whole request of a client reads as `expected`.
fn check_read<'de, T: Deserialize<'de> + PartialEq + Debug>(input: &'de [u8], expected: &T) {
    assert_eq!(&from_slice::<T>(input).unwrap(), expected);
}

fn refused<'de, T: Deserialize<'de> + Debug>(input: &'de [u8]) -> String {
    from_slice::<T>(input).unwrap_err().to_string()
}

#[test]
fn values_of_each_kind_are_written_as_aws_reads_them() {
    check(&"key".to_owned(), "63 'key'");
    check(&Blob(Bytes::from_static(b"\x00\xff")), "42 00ff");
    check(&Timestamp { millis: 1_763_859_985_123 }, "c1 1b 0000019aae3f72e3");
    check(&Timestamp { millis: -1 }, "c1 20");
    check(
        &ListStreamsResponse { stream_names: vec!["a".to_owned()], ..ListStreamsResponse::default() },
        "a2 6b 'StreamNames' 81 61 'a' 6e 'HasMoreStreams' f4",
    );
    check(&true, "f5");
    check(&1000_u64, "19 03e8");
    check(&-1_i64, "20");
    check(&vec!["a".to_owned()], "81 61 'a'");
    check(&BTreeMap::from([("k".to_owned(), String::new())]), "a1 61 'k' 60");
    check(&Tag { key: "k".to_owned(), value: Some("v".to_owned()) }, "a2 63 'Key' 61 'k' 65 'Value' 61 'v'");
}

#[test]
fn members_that_are_absent_are_not_written() {
    check(&AccountSettingsResponse::default(), "a0");
    check(&Tag { key: "k".to_owned(), value: None }, "a1 63 'Key' 61 'k'");
    let none = to_vec(&PutRecordsResponse::default()).unwrap();
    assert_eq!(none, bytes("a2 71 'FailedRecordCount' 00 67 'Records' 80"));
    let record = Record { sequence_number: "4".to_owned(), ..Record::default() };
    assert_eq!(to_vec(&record).unwrap(), bytes("a2 6e 'SequenceNumber' 61 '4' 64 'Data' 40"));
}

/// As Jackson's generator, and so the AWS SDK for Java, writes it: maps and lists without a length.
#[test]
fn a_put_of_the_java_sdk_is_read() {
    let input = bytes(
        "bf 67 'Records' 9f bf 64 'Data' 45 'hello' 6c 'PartitionKey' 63 'k-1' ff \
         bf 64 'Data' 40 6c 'PartitionKey' 61 'l' 6f 'ExplicitHashKey' 61 '0' ff ff 6a 'StreamName' 66 'orders' ff",
    );
    let entry = |data: &'static [u8], key: &'static str, hash: Option<&'static str>| PutRecordsEntry {
        data: Some(Blob(Bytes::from_static(data))),
        partition_key: Some(key.into()),
        explicit_hash_key: hash.map(Text::from),
    };
    let records = Some(vec![entry(b"hello", "k-1", None), entry(b"", "l", Some("0"))]);
    check_read(
        &input,
        &PutRecordsRequest { stream_name: Some("orders".into()), records, ..PutRecordsRequest::default() },
    );
}

#[test]
fn a_time_of_the_java_sdk_is_read() {
    let time = |notation: &str| {
        let input = bytes(&format!("bf 69 'Timestamp' {notation} ff"));
        from_slice::<GetShardIteratorRequest>(&input).unwrap().timestamp.unwrap().millis
    };
    assert_eq!(time("c1 1b 000001a013accc38"), 1_787_036_486_712);
    for (notation, millis) in [
        ("c1 18 c8", 200),
        ("1b 000001a013accc38", 1_787_036_486_712),
        ("c1 fb 427a013accc38000", 1_787_036_486_712),
        ("c1 fa 40200000", 3),
        ("c1 3903e7", -1000),
        ("1b ffffffffffffffff", i64::MAX),
    ] {
        assert_eq!(time(notation), millis, "{notation}");
    }
}

#[test]
fn lengths_of_both_kinds_and_widths_are_read() {
    let expected = Tag { key: "key".to_owned(), value: Some("é".to_owned()) };
    for notation in [
        "a2 63 'Key' 63 'key' 65 'Value' 62 c3a9",
        "bf 63 'Key' 63 'key' 65 'Value' 62 c3a9 ff",
        "b8 02 78 03 'Key' 7a 00000003 'key' 65 'Value' 7b 0000000000000002 c3a9",
        "a2 7f 61 'K' 60 62 'ey' ff 7f 63 'key' ff 65 'Value' 7f 62 c3a9 ff",
        "d9d9f7 a2 63 'Key' d864 63 'key' 65 'Value' 62 c3a9",
        "a3 63 'Key' 63 'key' 65 'Value' 62 c3a9 65 'Other' f6",
    ] {
        check_read(&bytes(notation), &expected);
    }
    for notation in ["43 010203", "5f 41 01 40 42 0203 ff", "58 03 010203"] {
        check_read(&bytes(notation), &Blob(Bytes::from_static(&[1, 2, 3])));
    }
}

#[test]
fn null_is_an_absent_member() {
    for nothing in ["f6", "f7"] {
        let input = bytes(&format!("a2 63 'Key' 61 'k' 65 'Value' {nothing}"));
        check_read(&input, &Tag { key: "k".to_owned(), value: None });
    }
}

#[test]
fn members_that_are_unknown_are_passed_over_whatever_they_are() {
    for value in [
        "00",
        "1b ffffffffffffffff",
        "3b ffffffffffffffff",
        "40",
        "5f 41 01 ff",
        "63 'key'",
        "7f 61 'k' ff",
        "80",
        "9f ff",
        "82 01 a1 01 02",
        "bf 01 9f 80 ff ff",
        "f4",
        "f6",
        "f7",
        "f97e00",
        "fa 7fc00000",
        "fb 7ff0000000000000",
        "e0",
        "f8 ff",
        "c1 c1 c1 00",
        "c2 41 01",
        "d8 20 9f c1 00 ff",
    ] {
        let input = bytes(&format!("bf 67 'Unknown' {value} 63 'Key' 61 'k' ff"));
        check_read(&input, &Tag { key: "k".to_owned(), value: None });
    }
    let mut long = bytes("a2 67 'Unknown' 9a 00100000");
    long.resize(long.len() + (1 << 20), 0);
    long.extend(bytes("63 'Key' 61 'k'"));
    check_read(&long, &Tag { key: "k".to_owned(), value: None });
}

#[test]
fn texts_lie_in_the_input() {
    let input = bytes("a1 6c 'PartitionKey' 63 'key'");
    let request = from_slice::<PutRecordRequest<'_>>(&input).unwrap();
    assert!(matches!(request.partition_key, Some(Text(Cow::Borrowed("key")))));
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    for (notation, expected) in [
        ("a1 64 'Data' 64 'aGkK'", "invalid type: string, expected bytes"),
        ("a1 64 'Data' 01", "invalid type: u8, expected bytes"),
        ("a1 6c 'PartitionKey' 43 'key'", "invalid type: bytes, expected a string"),
        ("a1 6c 'PartitionKey' 07", "invalid type: u8, expected a string"),
        ("a1 66 'DryRun' 01", "invalid type: integer `1`, expected a boolean"),
        ("a1 01 63 'key'", "invalid type: u8, expected field identifier"),
        ("a1 46 'DryRun' f5", "invalid type: bytes, expected field identifier"),
        ("87 f6 f6 f6 f6 f6 f6 f6", "invalid type: array, expected struct PutRecordRequest"),
        ("a2 66 'DryRun' f5 66 'DryRun' f5", "duplicate field `DryRun`"),
        ("a1 66 'DryRun' c1 ff", "invalid type: break, expected a boolean"),
        ("a1 66 'DryRun' f97e00", "invalid type: f16, expected a boolean"),
    ] {
        let message = refused::<PutRecordRequest<'_>>(&bytes(notation));
        assert!(message.starts_with(expected), "{notation}: {message}");
    }
    for notation in ["a1 69 'Timestamp' 64 '2026'", "a1 69 'Timestamp' c1 f6", "a1 69 'Timestamp' c1 81 00"] {
        let message = refused::<GetShardIteratorRequest>(&bytes(notation));
        assert!(message.contains("expected milliseconds since 1970"), "{notation}: {message}");
    }
    for notation in
        ["a1 6a 'ShardCount' fb 3ff0000000000000", "a1 6a 'ShardCount' 3b ffffffffffffffff", "a1 64 'Tags' 80"]
    {
        refused::<CreateStreamRequest>(&bytes(notation));
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_refused() {
    let whole = bytes(
        "bf 67 'Records' 9f bf 64 'Data' 5f 45 'hello' ff 6c 'PartitionKey' 7f 61 'k' ff ff ff 61 'x' 82 01 02 ff",
    );
    assert!(from_slice::<PutRecordsRequest<'_>>(&whole).is_ok());
    for end in 0..whole.len() {
        let message = refused::<PutRecordsRequest<'_>>(&whole[..end]);
        assert!(message.starts_with("not CBOR: end of input bytes"), "{end}: {message}");
    }
    let longer = [whole.as_slice(), &[0, 0]].concat();
    let expected = format!("2 bytes follow the value: a body is one value (near byte {})", whole.len());
    assert_eq!(refused::<PutRecordsRequest<'_>>(&longer), expected);
}

#[test]
fn bytes_that_are_not_cbor_are_refused() {
    for notation in [
        "ff",
        "1c",
        "a1 61 'x' ff",
        "a1 61 'x' fc",
        "a1 61 'x' 7c",
        "a1 62 c328 00",
        "bf 61 'x' ff",
        "9f",
        "a1 61 'x' 5f 61 'a' ff",
        "a1 61 'x' 5f 5f 41 00 ff ff",
    ] {
        refused::<PutRecordRequest<'_>>(&bytes(notation));
    }
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    for inner in ["81", "9f", "a1 00", "bf 61 'k'", "d9d9f7 81"] {
        let mut input = bytes("a1 61 'x'");
        input.extend(bytes(inner).repeat(1 << 20));
        let message = refused::<PutRecordRequest<'_>>(&input);
        assert!(message.starts_with("lists and maps are nested deeper than 128 levels"), "{inner}: {message}");
    }
    let mut deepest = bytes("a1 61 'x'");
    deepest.extend([0x81; DEPTH_MAX - 1]);
    deepest.push(0);
    check_read(&deepest, &PutRecordRequest::default());
    let mut tags = bytes("a1 61 'x'");
    tags.resize(14 << 20, 0xc1);
    refused::<PutRecordRequest<'_>>(&tags);
}

#[test]
fn a_list_or_a_map_has_an_end() {
    let records = |count: u16| {
        let mut input = bytes("a1 67 'Records' 99");
        input.extend(count.to_be_bytes());
        input.extend(vec![0xa0; count.into()]);
        input
    };
    let input = records(10_000);
    assert_eq!(from_slice::<PutRecordsRequest<'_>>(&input).unwrap().records.unwrap().len(), 10_000);
    let message = refused::<PutRecordsRequest<'_>>(&records(10_001));
    assert!(message.starts_with("a list or a map has more than 10000 elements"), "{message}");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", any::<String>()]
}

fn blob() -> impl Strategy<Value = Blob> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(|data| Blob(data.into()))
}

/// What JSON tells exactly: up to the year 9999 and back to the year 1.
fn time() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_i64..253_402_300_799_999).prop_map(|millis| Timestamp { millis })
}

prop_compose! {
    fn put()(
        stream in prop::option::of(text()),
        dry_run: Option<bool>,
        records in prop::option::of(prop::collection::vec(
            (prop::option::of(blob()), prop::option::of(text()), prop::option::of(text())), 0..20)),
    ) -> PutRecordsRequest<'static> {
        let entry = |(data, key, hash): (Option<Blob>, Option<String>, Option<String>)| PutRecordsEntry {
            data,
            partition_key: key.map(Text::from),
            explicit_hash_key: hash.map(Text::from),
        };
        let records = records.map(|records| records.into_iter().map(entry).collect());
        PutRecordsRequest { stream_name: stream.map(Text::from), records, dry_run, ..PutRecordsRequest::default() }
    }
}

prop_compose! {
    fn create()(
        name in prop::option::of(text()),
        shard_count: Option<i64>,
        mode in prop::option::of(prop::option::of(text())),
        tags in prop::option::of(prop::collection::btree_map(text(), text(), 0..10)),
    ) -> CreateStreamRequest {
        let stream_mode_details = mode.map(|stream_mode| StreamModeDetails { stream_mode });
        CreateStreamRequest { stream_name: name, shard_count, stream_mode_details, tags, ..CreateStreamRequest::default() }
    }
}

prop_compose! {
    fn read()(
        records in prop::collection::vec((text(), prop::option::of(time()), blob(), prop::option::of(text())), 0..20),
        next_shard_iterator in prop::option::of(text()),
        millis_behind_latest: Option<u64>,
    ) -> GetRecordsResponse<'static> {
        let record = |(sequence_number, approximate_arrival_timestamp, data, key): (_, _, _, Option<String>)| Record {
            sequence_number,
            approximate_arrival_timestamp,
            data,
            partition_key: key.map(Text::from),
            encryption_type: None,
        };
        let records = records.into_iter().map(record).collect();
        GetRecordsResponse { records, next_shard_iterator, millis_behind_latest, child_shards: None }
    }
}

/// A shape that both formats carry alike.
macro_rules! check_alike {
    ($shape:expr, $kind:ty) => {{
        let (json, cbor) = (serde_json::to_vec(&$shape).unwrap(), to_vec(&$shape).unwrap());
        prop_assert_eq!(&serde_json::from_slice::<$kind>(&json).unwrap(), &$shape);
        prop_assert_eq!(&from_slice::<$kind>(&cbor).unwrap(), &$shape);
        cbor
    }};
}

proptest! {
    #[test]
    fn json_and_cbor_carry_the_same(put in put(), create in create(), read in read()) {
        check_alike!(put, PutRecordsRequest<'_>);
        check_alike!(create, CreateStreamRequest);
        check_alike!(read, GetRecordsResponse<'_>);
    }

    #[test]
    fn whatever_the_bytes_the_reader_keeps_its_promises(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::shapes(&bytes);
    }

    /// Random bytes are seldom a shape; a shape with a few wrong bytes gets further.
    #[test]
    fn a_damaged_shape_is_refused_or_is_another_one(
        put in put(), read in read(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for mut cbor in [to_vec(&put).unwrap(), to_vec(&read).unwrap()] {
            for (at, byte) in &damages {
                let at = at.index(cbor.len());
                cbor[at] = *byte;
            }
            fuzzing::shapes(&cbor);
        }
    }
}

/// Inputs that fuzzing found interesting, and real requests.
#[test]
fn inputs_that_were_kept_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/cbor");
    let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 10, "{} holds {} inputs", folder.display(), inputs.len());
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        assert!(std::panic::catch_unwind(|| fuzzing::shapes(&bytes)).is_ok(), "{} breaks a promise", input.display());
    }
}
