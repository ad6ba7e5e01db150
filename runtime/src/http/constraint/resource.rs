//! The streams and consumers that a request means: by name, by ARN, or by both.
//!
//! Whose account and region an ARN names matters only where there are access keys: else there is one set of streams.

use tidemill_stream::attached::{ConsumerRef, Holder};
use tidemill_stream::name::{ConsumerName, StreamName};

use super::{At, CONSUMER_NAME, Check, Pattern, STREAM_NAME, Shape, is_name};
use crate::http::auth::is_account;

const STREAM_ARN: Shape = arn_shape(r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", |arn| stream_in(arn).is_some());
const CONSUMER_ARN: Shape =
    arn_shape(r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+", |arn| {
        consumer_in(arn).is_some()
    });
const RESOURCE_ARN: Shape = arn_shape(r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+", |arn| {
    ["stream/", "channel/", "queue/"].iter().any(|kind| named_in(arn, kind).is_some())
});
const STREAM_ID: Shape =
    Shape { pattern: Some(Pattern { text: "[a-z0-9]{20}-[a-z0-9]{3}", matches: is_stream_id }), chars: Some(1..=24) };

const fn arn_shape(text: &'static str, matches: fn(&str) -> bool) -> Shape {
    Shape { pattern: Some(Pattern { text, matches }), chars: Some(1..=2048) }
}

/// The members of a request that say which stream it means.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::http) struct StreamRef<'a> {
    pub(in crate::http) name: Option<&'a str>,
    pub(in crate::http) arn: Option<&'a str>,
    /// Reserved by AWS: it is checked, and nothing is found by it.
    pub(in crate::http) id: Option<&'a str>,
}

/// What tags and policies hang on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Resource {
    pub(in crate::http) stream: StreamName,
    pub(in crate::http) holder: Holder,
}

impl Check<'_> {
    /// A stream that may be named, addressed by ARN, or both. `None` also when something is wrong with it.
    pub(in crate::http) fn optional_stream(&mut self, given: StreamRef<'_>) -> Option<StreamName> {
        let name = self.text(At::Member("streamName"), given.name, &STREAM_NAME);
        let named = given.arn.and_then(stream_in);
        let arn = self.text(At::Member("streamARN"), given.arn, &STREAM_ARN);
        arn.inspect(|arn| self.addressed(arn));
        self.stream_id(given.id);
        match (name, named) {
            (Some(name), Some(named)) if name != named => {
                let arn = arn.unwrap_or_default();
                self.invalid(format!("StreamName {name} and StreamARN {arn} are not of the same stream."));
                None
            }
            (Some(name), _) | (None, Some(name)) => {
                let parsed = self.named(name);
                if let Err(error) = &parsed {
                    self.invalid(error.to_string());
                }
                parsed.ok()
            }
            (None, None) => None,
        }
    }

    /// A stream that must be named, addressed by ARN, or both.
    pub(in crate::http) fn stream(&mut self, given: StreamRef<'_>) -> Option<StreamName> {
        if given.name.is_none() && given.arn.is_none() {
            self.invalid("Either StreamName or StreamARN must be given.");
        }
        self.optional_stream(given)
    }

    /// A stream that must be addressed by ARN.
    pub(in crate::http) fn stream_by_arn(&mut self, arn: Option<&str>, id: Option<&str>) -> Option<StreamName> {
        self.required(At::Member("streamARN"), arn);
        self.optional_stream(StreamRef { name: None, arn, id })
    }

    /// A stream or a consumer that must be addressed by ARN.
    pub(in crate::http) fn resource(&mut self, arn: Option<&str>, id: Option<&str>) -> Option<Resource> {
        self.stream_id(id);
        let arn = self.required_text(At::Member("resourceARN"), arn, &RESOURCE_ARN)?;
        let consumer = consumer_in(arn);
        let stream = consumer.as_ref().map_or_else(|| stream_in(arn), |(stream, _)| Some(stream));
        self.addressed(arn);
        let found = stream.and_then(|stream| self.named(stream).ok());
        if found.is_none() {
            self.invalid(format!("ResourceARN {arn} is of no stream and of no consumer: a node has nothing else."));
        }
        let holder = consumer.map_or(Holder::Stream, |(_, consumer)| Holder::Consumer(consumer));
        found.map(|stream| Resource { stream, holder })
    }

    /// A consumer that must be addressed by ARN, or named together with its stream's ARN. What is given must agree.
    pub(in crate::http) fn consumer(
        &mut self,
        stream: StreamRef<'_>,
        name: Option<&str>,
        arn: Option<&str>,
    ) -> Option<(StreamName, ConsumerRef)> {
        let stream = self.optional_stream(stream);
        let name = self.text(At::Member("consumerName"), name, &CONSUMER_NAME);
        let addressed = self.text(At::Member("consumerARN"), arn, &CONSUMER_ARN);
        let addressed = addressed.inspect(|arn| self.addressed(arn)).and_then(consumer_in);
        let named = name.and_then(|name| ConsumerName::parse(name).ok());
        let found = match (addressed, stream, named) {
            (Some((of, found)), stream, name) => {
                let agrees =
                    stream.is_none_or(|stream| stream.as_str() == of) && name.is_none_or(|name| name == found.name);
                if !agrees {
                    self.invalid("ConsumerARN, StreamARN and ConsumerName are not of the same consumer.");
                }
                self.named(of).ok().filter(|_| agrees).map(|stream| (stream, found))
            }
            (None, Some(stream), Some(name)) => Some((stream, ConsumerRef { name, created_secs: None })),
            (None, _, _) => None,
        };
        if found.is_none() {
            self.invalid("Either ConsumerARN must be given, or StreamARN and ConsumerName.");
        }
        found
    }

    fn stream_id(&mut self, id: Option<&str>) {
        self.text(At::Member("streamId"), id, &STREAM_ID);
    }
}

/// What an ARN names in its last part, behind `kind`.
fn named_in<'a>(arn: &'a str, kind: &str) -> Option<&'a str> {
    let mut parts = arn.splitn(6, ':');
    let prefix = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("kinesis")
        && parts.next().is_some()
        && parts.next().is_some_and(is_account);
    let name = parts.next().filter(|_| prefix)?.strip_prefix(kind)?;
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// The stream's name in `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
pub(super) fn stream_in(arn: &str) -> Option<&str> {
    named_in(arn, "stream/")
}

/// Stream and consumer in `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME/consumer/CONSUMER:SECONDS`.
fn consumer_in(arn: &str) -> Option<(&str, ConsumerRef)> {
    let (stream, consumer) = stream_in(arn)?.split_once("/consumer/")?;
    let (name, secs) = consumer.split_once(':')?;
    let is_number = !secs.is_empty() && secs.bytes().all(|byte| byte.is_ascii_digit());
    if !is_name(stream) || !is_number {
        return None;
    }
    // A time that no number holds is that of no consumer.
    let created_secs = Some(secs.parse().unwrap_or(u64::MAX));
    Some((stream, ConsumerRef { name: ConsumerName::parse(name).ok()?, created_secs }))
}

fn is_stream_id(text: &str) -> bool {
    let legal = |text: &str, chars: usize| {
        text.len() == chars && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split_once('-').is_some_and(|(first, second)| legal(first, 20) && legal(second, 3))
}
