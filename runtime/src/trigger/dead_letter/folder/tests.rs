use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tidemill_stream::store::Store;

use super::*;
use crate::deploy::DestinationSpec;
use crate::trigger::dead_letter::tests::{invocation, invocation_of_stream, letter, record, store};
use crate::trigger::dead_letter::{Destination, document};

const TRIGGER: TriggerId = TriggerId(7);
const TRIGGER_NAME: &str = "774bab51-f276-8153-b6c9-4b06bc59a7d8";

fn destination(folder: &Path, store: &Store) -> Destination {
    Destination::new(&DestinationSpec::Folder(folder.to_owned()), TRIGGER, store)
}

/// The files below a folder, by their paths below it, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_letter_lies_where_lambda_puts_it_whole_and_for_the_node_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("not/there/yet");
    let store = store().await;
    let invocation = invocation_of_stream(&store).await;
    destination(&folder, &store).deliver(&letter(&invocation)).await.unwrap();

    let identity = Identity::of_letter(TRIGGER, &invocation);
    let key = format!("aws/lambda/{TRIGGER_NAME}/shardId-000000000001/2019/11/14/2019-11-14T00.38.06-{identity}");
    assert_eq!(files(&folder), [key.as_str()], "nothing else is left there");
    let text = fs::read(folder.join(&key)).unwrap();
    assert_eq!(text, document::write(&letter(&invocation), document::Payload::Event));
    let document: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(document["payload"]["Records"][0]["kinesis"]["data"], "YQ==");

    assert_eq!(mode(&folder.join(&key)), 0o600);
    for made in folder.join(&key).ancestors().skip(1).take_while(|path| *path != scratch.path()) {
        assert_eq!(mode(made), 0o700, "{}", made.display());
    }
}

#[tokio::test]
async fn a_letter_that_is_told_again_takes_the_place_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let (one, other) = (invocation(vec![record(1, "k", "a")]), invocation(vec![record(2, "k", "b")]));
    let destination = destination(folder.path(), &store);
    for invocation in [&one, &one, &other] {
        destination.deliver(&letter(invocation)).await.unwrap();
    }
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn the_records_of_an_encrypted_stream_do_not_lie_about_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await; // without the stream: whether it was encrypted is not known
    let invocation = invocation(vec![record(1, "k", "a")]);
    destination(folder.path(), &store).deliver(&letter(&invocation)).await.unwrap();
    let text = fs::read(folder.path().join(&files(folder.path())[0])).unwrap();
    assert_eq!(text, document::write(&letter(&invocation), document::Payload::LeftOut));
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_is_an_error_that_names_it_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("file");
    fs::write(&folder, "a file").unwrap();
    let store = store().await;
    let invocation = invocation(vec![record(1, "k", "a")]);
    let error = destination(&folder, &store).deliver(&letter(&invocation)).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("the folder {} does not take the letter: ", folder.display())), "{error}");
    assert_eq!(files(scratch.path()), ["file"]);
}

#[tokio::test]
async fn a_letter_that_cannot_be_placed_leaves_nothing_and_is_placed_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = store().await;
    let invocation = invocation(vec![record(1, "k", "a")]);
    // A folder with something in it stands where the letter shall be.
    let key = Folder::new(folder.path(), TRIGGER).key(&letter(&invocation), Identity::of_letter(TRIGGER, &invocation));
    let in_the_way = folder.path().join(key).join("full");
    fs::create_dir_all(&in_the_way).unwrap();
    let destination = destination(folder.path(), &store);
    destination.deliver(&letter(&invocation)).await.unwrap_err();
    assert_eq!(files(folder.path()), Vec::<String>::new(), "no temporary file is left");
    fs::remove_dir_all(in_the_way.parent().unwrap()).unwrap();
    destination.deliver(&letter(&invocation)).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
}
