//! The AWS SDK for Rust, pointed at a node.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, HttpClient, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_kinesis::{Client, Config};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The example of the page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/clients.md")]
struct Page;

/// A client that tries each request once, so that a test knows what became of it.
pub fn sdk(url: &str) -> Client {
    sdk_with(url, aws_smithy_http_client::Builder::new().build_http())
}

/// The same, for a node that the authority in this text of PEM vouches for.
pub fn sdk_trusting(url: &str, pem: &str) -> Result<Client> {
    let trust = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trust).build()?;
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    Ok(sdk_with(url, builder.tls_context(context).build_https()))
}

fn sdk_with(url: &str, http: impl HttpClient + 'static) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_mins(5)).build())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// What a node answers to a GET.
pub async fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer with a head")?;
    ensure!(head.contains(" 200 "), "{answer}");
    Ok(body.to_owned())
}

/// One record of a `PutRecords`.
#[expect(clippy::expect_used, reason = "both required members are given")]
pub fn entry(key: &str, data: &str) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
    entry.build().expect("an entry with key and data")
}
