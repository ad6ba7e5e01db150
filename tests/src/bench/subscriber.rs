//! A client that has a shard pushed to it, over HTTP/2 with the windows that the Kinesis Client Library sets.
//!
//! Of what it is sent it looks at the lengths of frames alone, so that it costs as little as it can.

use anyhow::{Context, Result, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidemill_wire::{StartingPosition, SubscribeToShardRequest, TARGET_PREFIX, cbor};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What the server may send before it is read (`KinesisClientUtil` of the library, version 3).
const WINDOW_BYTES: u32 = 512 << 10;
/// Bytes that say how long a frame is.
const LENGTH_BYTES: usize = 4;

/// A connection, for as many subscriptions as one likes.
pub(super) struct Subscribers {
    address: String,
    sender: SendRequest<Full<Bytes>>,
    /// What moves the bytes; it ends with this.
    _connection: JoinSet<hyper::Result<()>>,
}

/// An answer that goes on.
pub(super) struct Subscription {
    body: Incoming,
    read: BytesMut,
}

/// How a subscription is asked for, and what its events are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Cbor,
}

impl Encoding {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => tidemill_wire::JSON_CONTENT_TYPE,
            Self::Cbor => tidemill_wire::CBOR_CONTENT_TYPE,
        }
    }

    fn encode(self, request: &SubscribeToShardRequest) -> Result<Bytes> {
        Ok(match self {
            Self::Json => serde_json::to_vec(request)?.into(),
            Self::Cbor => cbor::to_vec(request)?.into(),
        })
    }
}

impl Subscribers {
    pub(super) async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let mut running = JoinSet::new();
        running.spawn(connection);
        Ok(Self { address: address.to_owned(), sender, _connection: running })
    }

    /// Subscribes a consumer to the first shard of its stream, from a position of this type on.
    pub(super) async fn subscribe(&self, consumer: &str, from: &str, encoding: Encoding) -> Result<Subscription> {
        let request = SubscribeToShardRequest {
            consumer_arn: Some(consumer.to_owned()),
            shard_id: Some("shardId-000000000000".to_owned()),
            starting_position: Some(StartingPosition { kind: Some(from.to_owned()), ..StartingPosition::default() }),
            ..SubscribeToShardRequest::default()
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}/", self.address))
            .header(CONTENT_TYPE, encoding.content_type())
            .header("x-amz-target", format!("{TARGET_PREFIX}SubscribeToShard"))
            .body(Full::new(encoding.encode(&request)?))?;
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            let said = answer.into_body().collect().await?.to_bytes();
            anyhow::bail!("{status}: {}", String::from_utf8_lossy(&said));
        }
        Ok(Subscription { body: answer.into_body(), read: BytesMut::new() })
    }
}

impl Subscription {
    /// The next frame, whole.
    pub(super) async fn frame(&mut self) -> Result<Bytes> {
        loop {
            if let Some(length) = self.read.get(..LENGTH_BYTES).map(|mut length| length.get_u32() as usize)
                && self.read.len() >= length
            {
                ensure!(length > LENGTH_BYTES, "a frame of {length} bytes");
                return Ok(self.read.split_to(length).freeze());
            }
            let frame = self.body.frame().await.context("the subscription has ended")??;
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }

    /// Reads so many bytes and keeps none.
    pub(super) async fn skip(&mut self, mut bytes: usize) -> Result<()> {
        while bytes > 0 {
            let frame = self.body.frame().await.context("the answer has ended")??;
            bytes = bytes.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
        Ok(())
    }
}
