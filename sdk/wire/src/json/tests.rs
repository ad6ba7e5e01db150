//! The reader's bounds, and its judge under random and damaged bytes.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{CreateStreamRequest, ITEMS_MAX, ListShardsRequest, PutRecordRequest, PutRecordsRequest, Text};

/// Requests of each kind of member, for damage.
const REQUESTS: [&str; 5] = [
    r#"{"StreamName":"orders","Records":[{"Data":"aGk=","PartitionKey":"k\u00e4"},{"ExplicitHashKey":"0"}],"DryRun":true}"#,
    r#"{"StreamName":"s","ShardCount":3,"StreamModeDetails":{"StreamMode":"PROVISIONED"},"Tags":{"a":"b","c":""}}"#,
    r#"{"StreamARN":"a","ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1763859985.123},"MaxResults":100}"#,
    r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1.5e9}"#,
    r#"{"ResourceARN":"a","TagKeys":["a","b"],"Unknown":[{"x":[1,null,"\"",true]}]}"#,
];

fn refused<'de, T: Deserialize<'de> + std::fmt::Debug>(input: &'de [u8]) -> String {
    from_slice::<T>(input).unwrap_err().to_string()
}

#[test]
fn a_list_or_a_map_has_an_end() {
    let records = |count: usize| format!(r#"{{"Records":[{}]}}"#, vec!["{}"; count].join(","));
    let most = records(ITEMS_MAX);
    assert_eq!(from_slice::<PutRecordsRequest<'_>>(most.as_bytes()).unwrap().records.unwrap().len(), ITEMS_MAX);
    let expected = "a list or a map has more than 10000 elements at line 1 column ";
    let message = refused::<PutRecordsRequest<'_>>(records(ITEMS_MAX + 1).as_bytes());
    assert!(message.starts_with(expected), "{message}");
    let tags: Vec<String> = (0..=ITEMS_MAX).map(|tag| format!(r#""{tag}":"""#)).collect();
    let message = refused::<CreateStreamRequest>(format!(r#"{{"Tags":{{{}}}}}"#, tags.join(",")).as_bytes());
    assert!(message.starts_with(expected), "{message}");
    // Such a map is short, and its members were read all the same.
    let alike = format!(r#"{{"Tags":{{{}}}}}"#, vec![r#""a":"""#; ITEMS_MAX + 1].join(","));
    assert!(refused::<CreateStreamRequest>(alike.as_bytes()).starts_with(expected));
    let members = format!("{{{}}}", vec![r#""x":1"#; ITEMS_MAX + 1].join(","));
    assert!(refused::<ListShardsRequest>(members.as_bytes()).starts_with(expected));
}

#[test]
fn what_is_unknown_is_passed_over_however_long_or_deep() {
    let long = format!(r#"{{"x":[{}],"DryRun":true}}"#, vec!["0"; 1 << 20].join(","));
    let deep = format!(r#"{{"x":{}{},"DryRun":true}}"#, "[".repeat(1 << 20), "]".repeat(1 << 20));
    for input in [long, deep] {
        assert_eq!(from_slice::<PutRecordRequest<'_>>(input.as_bytes()).unwrap().dry_run, Some(true));
    }
}

#[test]
fn a_body_is_one_value() {
    let message = refused::<PutRecordRequest<'_>>(b"{} {}");
    assert_eq!(message, "trailing characters at line 1 column 4");
    assert!(from_slice::<PutRecordRequest<'_>>(b" {} \n").is_ok());
}

#[test]
fn texts_lie_in_the_input() {
    let request = from_slice::<PutRecordRequest<'_>>(br#"{"PartitionKey":"key"}"#).unwrap();
    assert!(matches!(request.partition_key, Some(Text(Cow::Borrowed("key")))));
}

#[test]
fn the_requests_that_are_damaged_are_right() {
    for request in REQUESTS {
        fuzzing::requests(request.as_bytes());
    }
    assert!(from_slice::<PutRecordsRequest<'_>>(REQUESTS[0].as_bytes()).is_ok_and(|put| put.records.is_some()));
    assert!(from_slice::<CreateStreamRequest>(REQUESTS[1].as_bytes()).is_ok_and(|create| create.tags.is_some()));
}

proptest! {
    #[test]
    fn whatever_the_bytes_the_reader_keeps_its_promises(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::requests(&bytes);
    }

    /// Random bytes are seldom a request; a request with a few wrong bytes gets further.
    #[test]
    fn a_damaged_request_is_refused_or_is_another_one(
        request in prop::sample::select(REQUESTS.to_vec()),
        damages in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), 32_u8..127]), 1..4),
    ) {
        let mut json = request.as_bytes().to_vec();
        for (at, byte) in &damages {
            let at = at.index(json.len());
            json[at] = *byte;
        }
        fuzzing::requests(&json);
    }
}

/// Real requests, and what comes near them.
#[test]
fn inputs_that_were_kept_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/json");
    let inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 10, "{} holds {} inputs", folder.display(), inputs.len());
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        assert!(std::panic::catch_unwind(|| fuzzing::requests(&bytes)).is_ok(), "{} breaks a promise", input.display());
    }
}
