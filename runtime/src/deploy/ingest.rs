//! The section `ingest`: who may put over plain HTTP.

use super::error::{Place, Problem};
use super::fields::{Mistakes, Part, items, text};
use super::legal::{
    CORS, CORS_SECTION, ENV, INGEST, INGEST_SECTION, ORIGINS, ORIGINS_MAX, SHA256, TOKEN, TOKENS, TOKENS_MAX,
};
use super::tree::Node;
use super::{IngestSpec, TokenSpec};
use crate::http::{Origin, Origins, TokenDigest};
use crate::limits::VARIABLE_NAME_CHARS_MAX;

/// Reads the section; nothing at all is the default.
pub(super) fn ingest(manifest: &Part<'_>, mistakes: &mut Mistakes) -> IngestSpec {
    let node = manifest.get(INGEST_SECTION.name);
    let Some(part) = node.and_then(|node| Part::open(node, INGEST_SECTION.name.to_owned(), &INGEST, mistakes)) else {
        return IngestSpec::default();
    };
    let tokens = part.get(TOKENS.name).map(|node| tokens(&part, node, mistakes)).unwrap_or_default();
    let origins = part.get(CORS_SECTION.name).map(|node| cors(node, mistakes)).unwrap_or_default();
    IngestSpec { tokens, origins }
}

fn tokens(part: &Part<'_>, node: &Node, mistakes: &mut Mistakes) -> Vec<TokenSpec> {
    let expected = "a list of tokens like '- env: INGEST_TOKEN'; leave it out to let everyone put";
    let items = items(part.what(TOKENS.name), node, expected, TOKENS_MAX, mistakes);
    items.iter().filter_map(|item| token(item, mistakes)).collect()
}

fn token(node: &Node, mistakes: &mut Mistakes) -> Option<TokenSpec> {
    let part = Part::open(node, "a token of ingest".to_owned(), &TOKEN, mistakes)?;
    match (part.get(ENV.name), part.get(SHA256.name)) {
        (Some(name), None) => {
            let name_text = text(name, part.what(ENV.name), mistakes)?;
            variable(name_text, name.place, mistakes).map(TokenSpec::Variable)
        }
        (None, Some(digest)) => {
            let given = text(digest, part.what(SHA256.name), mistakes)?;
            let parsed = TokenDigest::parse(given);
            let message = "'sha256' of a token of ingest is none; write the 64 digits of 0-9 and a-f that \
                           `printf %s TOKEN | sha256sum` prints";
            parsed.map_err(|_| mistakes.note(digest.place, name_problem(message))).ok().map(TokenSpec::Digest)
        }
        (Some(_), Some(_)) => {
            mistakes.note(node.place, name_problem("a token of ingest has both 'env' and 'sha256'; write one of them"));
            None
        }
        (None, None) => {
            part.need(&ENV, mistakes);
            None
        }
    }
}

/// The name of an environment variable, or a note that it is none.
pub(super) fn variable(name: &str, place: Place, mistakes: &mut Mistakes) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_legal = (1..=VARIABLE_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(legal)
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if is_legal {
        return Some(name.to_owned());
    }
    let message = format!(
        "'{name}' is not the name of an environment variable: use 1 to {VARIABLE_NAME_CHARS_MAX} characters of a-z, A-Z, \
         0-9 and '_', no digit first"
    );
    mistakes.note(place, Problem::Name { message });
    None
}

fn cors(node: &Node, mistakes: &mut Mistakes) -> Origins {
    let Some(part) = Part::open(node, "cors of ingest".to_owned(), &CORS, mistakes) else { return Origins::default() };
    let Some(node) = part.need(&ORIGINS, mistakes) else { return Origins::default() };
    let expected = "a list of origins like '- https://app.example.com', or '\"*\"' for all pages";
    let items = items(part.what(ORIGINS.name), node, expected, ORIGINS_MAX, mistakes);
    let mut origins = Vec::new();
    for item in items {
        let Some(given) = text(item, "an origin of cors of ingest".to_owned(), mistakes) else { continue };
        match Origin::parse(given) {
            Ok(origin) => origins.push(origin),
            Err(_) if given == "*" && items.len() == 1 => return Origins::Any,
            Err(_) if given == "*" => {
                mistakes.note(item.place, name_problem("the origin '*' is every page; write it alone"));
            }
            Err(error) => mistakes.note(item.place, Problem::Name { message: error.to_string() }),
        }
    }
    Origins::These(origins)
}

fn name_problem(message: &str) -> Problem {
    Problem::Name { message: message.to_owned() }
}
