//! The keys that a node encrypts streams with, from the file that names them.
//!
//! Promises that a file which cannot be meant so is refused, and that no key gets into a message. Must not know streams.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemill_stream::keys::{KEY_BYTES, Keyring};

use crate::limits::{ENCRYPTION_KEYS_BYTES_MAX, ENCRYPTION_KEYS_MAX};

/// What a key is, for whoever wrote something else.
const RULE: &str = "a key is 'NAME: BASE64': alias/.. or an id, and 32 random bytes in base64, as 'openssl rand -base64 32' makes them";

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the encryption keys in {}: {what}", path.display())]
pub struct InvalidKeys {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

/// Reads a file: a map in YAML from names to keys in base64.
pub fn load(path: &Path) -> Result<Keyring, InvalidKeys> {
    let invalid = |what: String| InvalidKeys { path: path.to_owned(), what };
    let file = std::fs::File::open(path).map_err(|error| invalid(error.to_string()))?;
    let mut text = String::new();
    file.take(ENCRYPTION_KEYS_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| invalid(error.to_string()))?;
    if text.len() as u64 > ENCRYPTION_KEYS_BYTES_MAX {
        return Err(invalid(format!("the file has more than {ENCRYPTION_KEYS_BYTES_MAX} bytes")));
    }
    parse(&text).map_err(invalid)
}

/// Keys that lie beside what they encrypt protect nothing.
pub fn check_apart(path: &Path, data: &Path) -> Result<(), InvalidKeys> {
    let resolved = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    match (resolved(path), resolved(data)) {
        (Ok(file), Ok(folder)) if file.starts_with(&folder) => {
            let what =
                format!("they lie in the data folder {}, and so protect nothing: keep them elsewhere", data.display());
            Err(InvalidKeys { path: path.to_owned(), what })
        }
        _ => Ok(()),
    }
}

fn parse(text: &str) -> Result<Keyring, String> {
    // What the reader shows of the text could have a key in it.
    let keys: BTreeMap<String, String> = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
        format!("{}{RULE}", place.unwrap_or_default())
    })?;
    if keys.is_empty() || keys.len() > ENCRYPTION_KEYS_MAX {
        return Err(format!("it has {} keys; 1 to {ENCRYPTION_KEYS_MAX} are possible", keys.len()));
    }
    let key = |(name, key): (String, String)| {
        if key_of(&name).is_some() {
            // Somebody may have swapped the two: it is not to be shown.
            return Err(format!("a name is a key: {RULE}"));
        }
        if name_of(&name) != name || name.is_empty() {
            return Err(format!("the key '{name}': write the name without its ARN: '{}'", name_of(&name)));
        }
        match key_of(&key) {
            Some(bytes) => Ok((name, bytes)),
            None => Err(format!("the key '{name}' is not 32 bytes in base64: {RULE}")),
        }
    };
    Ok(Keyring::new(keys.into_iter().map(key).collect::<Result<Vec<_>, _>>()?))
}

fn key_of(text: &str) -> Option<[u8; KEY_BYTES]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

/// The name of a key in what a caller calls it by: an id or an alias, alone or in an ARN.
pub fn name_of(key_id: &str) -> &str {
    let Some(arn) = key_id.strip_prefix("arn:") else { return key_id };
    // partition:kms:region:account:resource
    let resource = arn.splitn(5, ':').nth(4).unwrap_or(key_id);
    resource.strip_prefix("key/").unwrap_or(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    #[test]
    fn keys_are_read_and_found_by_every_name() {
        let keys = parse(&format!("alias/shop: {KEY}\n1234abcd-12ab-34cd-56ef-1234567890ab: {KEY}\n")).unwrap();
        for id in [
            "alias/shop",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-central-1:123456789012:alias/shop",
            "arn:aws-cn:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ] {
            assert!(keys.named(name_of(id)).is_some(), "{id}");
        }
        for id in ["shop", "alias/other", "arn:aws:kms:eu-central-1", "arn:", ""] {
            assert!(keys.named(name_of(id)).is_none(), "{id}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        for text in [
            String::new(),
            "{}".to_owned(),
            "- alias/shop".to_owned(),
            format!("alias/shop: {}", &KEY[..40]),
            format!("{KEY}: alias/shop"),
            format!("alias/shop: {KEY}{KEY}"),
            format!("alias/shop: [{KEY}]"),
            format!("alias/shop: {{ secret: {KEY} }}"),
            format!("alias/shop: {KEY}\nalias/shop: {KEY}"),
            format!("arn:aws:kms:eu-central-1:123456789012:alias/shop: {KEY}"),
        ] {
            let refused = parse(&text).unwrap_err();
            assert!(!refused.contains(&KEY[..10]), "{refused}");
        }
    }

    #[test]
    fn keys_do_not_lie_beside_what_they_encrypt() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let inside = data.join("keys.yaml");
        assert!(check_apart(&inside, &data).unwrap_err().to_string().contains("keep them elsewhere"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&inside, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        check_apart(&link, &data).unwrap_err();
        check_apart(&folder.path().join("keys.yaml"), &data).unwrap();
    }
}
