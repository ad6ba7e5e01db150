//! `on_failure` of a trigger: who is told of records that are given up.

use std::path::{Path, PathBuf};

use http::Uri;
use tidemill_stream::name::StreamName;

use super::{Known, is_known, reference};
use crate::deploy::DestinationSpec;
use crate::deploy::error::Problem;
use crate::deploy::fields::{Mistakes, Part, text, wrong_type};
use crate::deploy::ingest::variable;
use crate::deploy::legal::trigger::{DESTINATION, FOLDER, ON_FAILURE, SECRET, TOLD_STREAM, URL};
use crate::deploy::tree::{Node, Value};
use crate::limits::DESTINATION_URL_CHARS_MAX;

/// The destination, if there is one that is right. Its folder is seen from `folder`.
pub(super) fn destination(
    folder: &Path,
    trigger: &Part<'_>,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Option<DestinationSpec> {
    let node = trigger.get(ON_FAILURE.name)?;
    let within = format!("{} of {}", ON_FAILURE.name, trigger.within);
    match &node.value {
        Value::Text(name) => {
            let is_known = is_known(&within, TOLD_STREAM.name, (name, node.place), known.streams, mistakes);
            is_known.then(|| StreamName::parse(name).ok().map(DestinationSpec::Stream))?
        }
        Value::Map(_) => one_of(folder, &Part::open(node, within, &DESTINATION, mistakes)?, known, mistakes),
        other => {
            let expected = "the name of a stream, or a map with 'stream', 'folder' or 'url'";
            mistakes.note(node.place, wrong_type(trigger.what(ON_FAILURE.name), expected, other));
            None
        }
    }
}

fn one_of(folder: &Path, part: &Part<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<DestinationSpec> {
    let secret = part.get(SECRET.name);
    let given: Vec<_> = [&TOLD_STREAM, &FOLDER, &URL]
        .into_iter()
        .filter_map(|field| Some((field.name, part.get(field.name)?)))
        .collect();
    let [(name, node)] = *given else {
        let given = given.into_iter().map(|(name, _)| name).collect();
        mistakes.note(part.place, Problem::Destination { within: part.within.clone(), given });
        return None;
    };
    if let Some(secret) = secret.filter(|_| name != URL.name) {
        mistakes.note(secret.place, Problem::Unsigned { what: part.what(SECRET.name) });
    }
    if name == TOLD_STREAM.name {
        let stream = reference(part, TOLD_STREAM.name, node, known.streams, mistakes)?;
        return StreamName::parse(stream).ok().map(DestinationSpec::Stream); // an illegal name was noted where it is
    }
    if name == FOLDER.name {
        return told_folder(folder, part, node, mistakes).map(DestinationSpec::Folder);
    }
    let secret_variable = secret.and_then(|node| {
        let name = text(node, part.what(SECRET.name), mistakes)?;
        variable(name, node.place, mistakes)
    });
    Some(DestinationSpec::Url { url: url(part, node, mistakes)?, secret_variable })
}

/// Where the folder is, whichever folder the node runs in: two that read the manifest from different ones name the same.
fn told_folder(folder: &Path, part: &Part<'_>, node: &Node, mistakes: &mut Mistakes) -> Option<PathBuf> {
    let given = text(node, part.what(FOLDER.name), mistakes)?;
    if given.is_empty() {
        let (expected, given) = ("a folder", "an empty text".to_owned());
        mistakes.note(node.place, Problem::WrongType { what: part.what(FOLDER.name), expected, given });
        return None;
    }
    let seen = folder.join(given);
    Some(std::path::absolute(&seen).unwrap_or(seen))
}

fn url(part: &Part<'_>, node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let given = text(node, part.what(URL.name), mistakes)?;
    let Err(rule) = check_url(given) else { return Some(given.to_owned()) };
    // A password that stands where none may is not shown.
    let shown = given.rsplit_once('@').map_or(given.to_owned(), |(_, host)| format!("…@{host}"));
    let given = shown.chars().take(DESTINATION_URL_CHARS_MAX).collect();
    mistakes.note(node.place, Problem::Url { what: part.what(URL.name), given, rule });
    None
}

fn check_url(given: &str) -> Result<(), &'static str> {
    if given.len() > DESTINATION_URL_CHARS_MAX {
        return Err("it has 2048 characters at most");
    }
    if given.contains('#') {
        return Err("what is behind '#' is not sent; leave it out");
    }
    let uri: Uri = given.parse().map_err(|_| "letters that an address has not are written as '%' and two digits")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it begins with http:// or https://");
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err("no name and password in it; 'secret' signs requests")
        }
        Some(authority) if !authority.host().is_empty() => Ok(()),
        _ => Err("it names a host"),
    }
}
