//! From the tree to the manifest: reads all of it and collects every mistake.

mod destination;
mod filter;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_saphyr::Spanned;
use tidemill_stream::capacity::Capacity;
use tidemill_stream::name::StreamName;

use super::error::{Mistake, Place, Problem};
use super::fields::{Mistakes, Part, entries, items, nearest, text};
use super::legal::trigger::STREAM_NAME;
use super::legal::{
    ALLOW, ALLOW_SECTION, CAPACITY, CONFIG, EMIT, EMIT_MAX, FUNCTION, FUNCTIONS, MANIFEST, MEMORY, MODE, NO_LIMIT,
    PATH, Plain, RETENTION, RETENTION_BYTES, SHARDS, STREAM, STREAMS, TIMEOUT,
};
use super::tree::{Name, Node, Value};
use super::{FunctionSpec, Manifest, ShardsSpec, StreamSpec};
use crate::functions::FunctionName;

/// Reads a manifest, or all that is wrong with it.
pub(super) fn manifest(folder: &Path, yaml: &str) -> Result<Manifest, Vec<Mistake>> {
    let root = tree(yaml)?;
    let mut mistakes = Mistakes::default();
    let manifest = Part::open(&root, "the manifest".to_owned(), &MANIFEST, &mut mistakes)
        .map(|part| sections(folder, &part, &mut mistakes));
    let mistakes = mistakes.sorted();
    if mistakes.is_empty() { Ok(manifest.unwrap_or_default()) } else { Err(mistakes) }
}

fn tree(yaml: &str) -> Result<Node, Vec<Mistake>> {
    if yaml.trim().is_empty() {
        return Ok(Node { place: Place::START, value: Value::Null });
    }
    // `on`, `yes` and `n` are texts, as in YAML 1.2: patterns and configurations have them as values.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(yaml, options)
        .map(Node::from)
        .map_err(|error| vec![unreadable(&error)])
}

fn unreadable(error: &serde_saphyr::Error) -> Mistake {
    let place = error.location().map_or(Place::START, Place::from);
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        return Mistake { place, problem: Problem::DuplicateKey { key: key.clone() } };
    }
    let message = match error.without_snippet() {
        serde_saphyr::Error::MultipleDocuments { .. } => {
            "a second YAML document begins here; a manifest is one: take the '---' away".to_owned()
        }
        serde_saphyr::Error::UnknownAnchor { .. } => {
            "this alias names an anchor that no value above has; write the value itself".to_owned()
        }
        // Only the keys of maps are read as one kind of value.
        serde_saphyr::Error::Unexpected { .. } => "a name must be a plain text".to_owned(),
        other => {
            let message = other.to_string();
            let suffix = format!(" at line {}, column {}", place.line, place.column); // said already, in front
            let message = message.strip_suffix(&suffix).unwrap_or(&message);
            format!("this is not YAML: {message}; look at indentation, quotes and brackets, here and above")
        }
    };
    Mistake { place, problem: Problem::Yaml { message } }
}

fn sections(folder: &Path, part: &Part<'_>, mistakes: &mut Mistakes) -> Manifest {
    let streams = named(part, &STREAMS, mistakes);
    let functions = named(part, &FUNCTIONS, mistakes);
    let known = Known { streams, functions };
    Manifest {
        streams: streams.iter().filter_map(|(name, node)| stream(name, node, mistakes)).collect(),
        functions: functions.iter().filter_map(|(name, node)| function(folder, name, node, &known, mistakes)).collect(),
        triggers: trigger::triggers(folder, part, &known, mistakes),
        ingest: super::ingest::ingest(part, mistakes),
    }
}

/// The entries of a section that maps names to parts.
fn named<'a>(part: &Part<'a>, field: &Plain, mistakes: &mut Mistakes) -> &'a [(Name, Node)] {
    part.get(field.name).and_then(|node| entries(node, &part.what(field.name), mistakes)).unwrap_or_default()
}

fn stream(name: &Name, node: &Node, mistakes: &mut Mistakes) -> Option<StreamSpec> {
    let part = Part::open(node, format!("stream '{}'", name.text), &STREAM, mistakes)?;
    let shards = shards(&part, mistakes);
    let retention = part.duration(&RETENTION, mistakes);
    let retention_bytes = Some(part.size_bytes(&RETENTION_BYTES, mistakes)).filter(|bytes| *bytes != NO_LIMIT);
    let capacity = capacity(&part, mistakes);
    let name = stream_name(&name.text, name.place, mistakes)?;
    Some(StreamSpec { name, shards, retention, retention_bytes, capacity })
}

fn capacity(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Capacity> {
    let node = part.get(CAPACITY.name)?;
    let given = text(node, part.what(CAPACITY.name), mistakes)?;
    let capacity = Capacity::parse(given);
    if capacity.is_none() {
        mistakes.note(node.place, Problem::Capacity { what: part.what(CAPACITY.name), given: given.to_owned() });
    }
    capacity
}

fn shards(part: &Part<'_>, mistakes: &mut Mistakes) -> ShardsSpec {
    let count = u32::try_from(part.count(&SHARDS, mistakes)).unwrap_or(u32::MAX);
    let mode = part.get(MODE.name).and_then(|node| Some((node, text(node, part.what(MODE.name), mistakes)?)));
    match mode {
        None | Some((_, "provisioned")) => ShardsSpec::Provisioned(count),
        Some((_, "on-demand")) => {
            if let Some(given) = part.get(SHARDS.name) {
                mistakes.note(given.place, Problem::ShardsOnDemand { what: part.what(SHARDS.name) });
            }
            ShardsSpec::OnDemand
        }
        Some((node, given)) => {
            mistakes.note(node.place, Problem::Mode { what: part.what(MODE.name), given: given.to_owned() });
            ShardsSpec::Provisioned(count)
        }
    }
}

fn stream_name(given: &str, place: Place, mistakes: &mut Mistakes) -> Option<StreamName> {
    let parsed = StreamName::parse(given);
    parsed.map_err(|error| mistakes.note(place, Problem::Name { message: error.to_string() })).ok()
}

fn function(
    folder: &Path,
    name: &Name,
    node: &Node,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Option<FunctionSpec> {
    let function_name = function_name(name, mistakes);
    let part = Part::open(node, format!("function '{}'", name.text), &FUNCTION, mistakes)?;
    let memory_bytes = usize::try_from(part.size_bytes(&MEMORY, mistakes)).unwrap_or(usize::MAX);
    let timeout = part.duration(&TIMEOUT, mistakes);
    let config = config(&part, mistakes);
    let emit = emit(&part, known, mistakes);
    let path = part.need(&PATH, mistakes)?;
    let place = path.place;
    let path = text(path, part.what(PATH.name), mistakes)?;
    if path.is_empty() {
        let (expected, given) = ("a crate folder or a .wasm file", "an empty text".to_owned());
        mistakes.note(place, Problem::WrongType { what: part.what(PATH.name), expected, given });
    }
    Some(FunctionSpec { name: function_name?, path: folder.join(path), memory_bytes, timeout, config, emit })
}

fn function_name(name: &Name, mistakes: &mut Mistakes) -> Option<FunctionName> {
    let parsed = FunctionName::parse(&name.text);
    parsed.map_err(|error| mistakes.note(name.place, Problem::Name { message: error.to_string() })).ok()
}

fn config(part: &Part<'_>, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    for (name, node) in named(part, &CONFIG, mistakes) {
        let what = format!("'{}' in {}", name.text, part.what(CONFIG.name));
        if let Some(value) = text(node, what, mistakes) {
            config.insert(name.text.clone(), value.to_owned());
        }
    }
    config
}

/// The streams that a function may emit to.
fn emit(function: &Part<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> BTreeSet<StreamName> {
    let allow = function.get(ALLOW_SECTION.name);
    let allow = allow.and_then(|node| Part::open(node, format!("allow of {}", function.within), &ALLOW, mistakes));
    let Some((part, node)) = allow.and_then(|part| part.get(EMIT.name).map(|node| (part, node))) else {
        return BTreeSet::new();
    };
    let items = items(part.what(EMIT.name), node, "a list of streams like [alerts]", EMIT_MAX, mistakes);
    let name = |item| reference(&part, STREAM_NAME.name, item, known.streams, mistakes).map(StreamName::parse);
    // A name that is illegal was told where the stream is.
    items.iter().filter_map(name).flatten().collect()
}

/// What functions and triggers may name.
struct Known<'a> {
    streams: &'a [(Name, Node)],
    functions: &'a [(Name, Node)],
}

/// The name of a stream or function that must be in the manifest.
fn reference<'a>(
    part: &Part<'_>,
    kind: &'static str,
    node: &'a Node,
    known: &[(Name, Node)],
    mistakes: &mut Mistakes,
) -> Option<&'a str> {
    let name = text(node, part.what(kind), mistakes)?;
    is_known(&part.within, kind, (name, node.place), known, mistakes).then_some(name)
}

/// Whether a name is in the manifest, or a note that it is not.
fn is_known(
    within: &str,
    kind: &'static str,
    (name, place): (&str, Place),
    known: &[(Name, Node)],
    mistakes: &mut Mistakes,
) -> bool {
    let names = || known.iter().map(|(name, _)| name.text.as_str());
    if names().any(|known| known == name) {
        return true;
    }
    let problem = Problem::Dangling {
        within: within.to_owned(),
        kind,
        name: name.to_owned(),
        nearest: nearest(name, names()),
        known: names().map(str::to_owned).collect(),
    };
    mistakes.note(place, problem);
    false
}
