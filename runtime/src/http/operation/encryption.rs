//! `StartStreamEncryption` and `StopStreamEncryption`, with the keys that the node was given.

use tidemill_stream::encryption::Encryption;
use tidemill_wire::StreamEncryptionRequest;

use crate::encryption_keys::name_of;
use crate::http::constraint::{At, KEY_ID, StreamRef};
use crate::http::context::Context;
use crate::http::error::{ApiError, ErrorKind};

const TYPES: [(&str, Type); 2] = [("NONE", Type::None), ("KMS", Type::Kms)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    None,
    Kms,
}

/// Records that are put from when this returns are encrypted.
pub(super) async fn start(context: &Context<'_>, request: StreamEncryptionRequest) -> Result<(), ApiError> {
    let (name, key_id) = check(context, &request)?;
    context.stream(&name)?;
    let key = context.state.keys.named(name_of(key_id)).ok_or_else(|| not_found(context, key_id))?;
    let encryption = Encryption { key_id: key_id.to_owned(), key };
    let changed = context.store().set_encryption(&name, Some(encryption)).await;
    changed.map_err(|error| ApiError::of_encryption(error, context.account()))?;
    tracing::info!(stream = %name, key_id, "records are encrypted from now on");
    Ok(())
}

/// Records that are put from when this returns are not.
pub(super) async fn stop(context: &Context<'_>, request: StreamEncryptionRequest) -> Result<(), ApiError> {
    let (name, key_id) = check(context, &request)?;
    match &context.stream(&name)?.encryption {
        Some(encryption) if name_of(&encryption.key_id) == name_of(key_id) => {}
        Some(_) => return Err(ApiError::invalid(format!("The stream {name} is not encrypted with the key {key_id}."))),
        None => return Err(ApiError::invalid(format!("The stream {name} is not encrypted."))),
    }
    let changed = context.store().set_encryption(&name, None).await;
    changed.map_err(|error| ApiError::of_encryption(error, context.account()))?;
    tracing::info!(stream = %name, "records are not encrypted any more");
    Ok(())
}

fn not_found(context: &Context<'_>, key_id: &str) -> ApiError {
    let why = if context.state.keys.is_empty() {
        "no encryption keys were given to the node (--encryption-keys)"
    } else {
        "it is not among the node's encryption keys"
    };
    ApiError::new(ErrorKind::KmsNotFound, format!("The key {key_id} is not found: {why}."))
}

fn check<'r>(
    context: &Context<'_>,
    request: &'r StreamEncryptionRequest,
) -> Result<(tidemill_stream::name::StreamName, &'r str), ApiError> {
    let mut check = context.check();
    let StreamEncryptionRequest { stream_name, stream_arn, stream_id, encryption_type, key_id } = request;
    let given = StreamRef { name: stream_name.as_deref(), arn: stream_arn.as_deref(), id: stream_id.as_deref() };
    let name = check.stream(given);
    let at = At::Member("encryptionType");
    let encryption = check.required(at, encryption_type.as_deref());
    let encryption = check.word(at, encryption, &TYPES);
    let key = check.required_text(At::Member("keyId"), key_id.as_deref(), &KEY_ID);
    let ((name, encryption), key) = check.finish(name.zip(encryption).zip(key))?;
    match encryption {
        Type::Kms => Ok((name, key)),
        Type::None => Err(ApiError::invalid("EncryptionType NONE encrypts nothing: use KMS.")),
    }
}
