//! Asking servers of others: one POST over HTTP/1.1, with TLS where the address says so.
//!
//! Promises that a request ends in time and leaves nothing behind: it has a connection of its own, which no task holds and
//! which is closed when the request ends or its future is dropped; that no redirect is followed; and that no more than a
//! bounded piece of an answer is read. Errors name the server and never the path, which may be a secret. This module must not
//! know what is sent, nor why.

mod address;
mod tls;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tidemill_client::NoTrust;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

pub(crate) use self::address::{Address, InvalidAddress, Scheme};
use crate::harmless;
use crate::limits::{
    DESTINATION_ANSWER_BYTES_MAX, DESTINATION_ANSWER_CHARS_MAX, DESTINATION_HEAD_BYTES_MAX, DESTINATION_TIMEOUT,
};

/// Asks. Whom it trusts is found out at the first address with TLS.
#[derive(Debug)]
pub(crate) struct Outbound {
    timeout: Duration,
    trust: OnceCell<Arc<ClientConfig>>,
}

/// Why a server did not take a request. It may have it nevertheless, but for a refusal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error(transparent)]
    NoTrust(#[from] NoTrust),
    #[error("there is no connection to {server}: {reason}")]
    Unreachable { server: String, reason: String },
    #[error("{server} did not answer: {reason}")]
    Broken { server: String, reason: String },
    #[error("{server} did not answer within {limit:?}")]
    TimedOut { server: String, limit: Duration },
    #[error("{server} answered {status}: redirects are not followed, give the address that it leads to")]
    Redirected { server: String, status: StatusCode },
    #[error("{server} answered {status}: {body}")]
    Refused { server: String, status: StatusCode, body: String },
}

impl Default for Outbound {
    /// Trusts whom the system trusts, and waits [`DESTINATION_TIMEOUT`].
    fn default() -> Self {
        Self { timeout: DESTINATION_TIMEOUT, trust: OnceCell::new() }
    }
}

impl Outbound {
    /// Sends a request; an answer of 2xx is success.
    pub(crate) async fn post(&self, address: &Address, headers: HeaderMap, body: Bytes) -> Result<(), PostError> {
        let exchange = self.exchange(address, headers, body);
        let timed_out = |_| PostError::TimedOut { server: address.to_string(), limit: self.timeout };
        tokio::time::timeout(self.timeout, exchange).await.map_err(timed_out)?
    }

    async fn exchange(&self, address: &Address, headers: HeaderMap, body: Bytes) -> Result<(), PostError> {
        let unreachable =
            |error: io::Error| PostError::Unreachable { server: address.to_string(), reason: causes(&error) };
        let trust = match address.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some(self.trust.get_or_try_init(tls::of_the_system).await?),
        };
        let connection = TcpStream::connect((address.host(), address.port())).await.map_err(unreachable)?;
        connection.set_nodelay(true).map_err(unreachable)?;
        match trust {
            None => exchange_over(connection, address, headers, body).await,
            Some(trust) => {
                let name = tls::name_of(address).map_err(unreachable)?;
                let secured = TlsConnector::from(Arc::clone(trust)).connect(name, connection).await;
                exchange_over(secured.map_err(unreachable)?, address, headers, body).await
            }
        }
    }
}

/// One request and its answer. The connection moves only while this is polled.
async fn exchange_over(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    address: &Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), PostError> {
    let broken = |error: hyper::Error| PostError::Broken { server: address.to_string(), reason: causes(&error) };
    let mut protocol = http1::Builder::new();
    protocol.max_buf_size(DESTINATION_HEAD_BYTES_MAX);
    let (mut sender, connection) = protocol.handshake(TokioIo::new(connection)).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request(address, headers, body)).await.map_err(broken)?;
        judge(address, response).await
    };
    let connection = async {
        // What it ended with, the answer has as well.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = answer => answer,
        () = connection => Ok(()), // never
    }
}

fn request(address: &Address, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = address.target();
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::HOST, address.host_header());
    request
}

async fn judge(address: &Address, response: Response<Incoming>) -> Result<(), PostError> {
    let (status, server) = (response.status(), address.to_string());
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(PostError::Redirected { server, status });
    }
    Err(PostError::Refused { server, status, body: beginning(response.into_body()).await })
}

/// The first of what a server says, on one line.
async fn beginning(mut body: Incoming) -> String {
    let mut read = Vec::new();
    while read.len() < DESTINATION_ANSWER_BYTES_MAX {
        let Some(Ok(frame)) = body.frame().await else { break };
        let Ok(data) = frame.into_data() else { continue };
        let room = DESTINATION_ANSWER_BYTES_MAX - read.len();
        read.extend_from_slice(data.get(..room).unwrap_or(&data));
    }
    let text: String = String::from_utf8_lossy(&read).trim().chars().take(DESTINATION_ANSWER_CHARS_MAX).collect();
    if text.is_empty() { "(it says nothing)".to_owned() } else { harmless::on_one_line(&text) }
}

/// An error and what caused it: a server may have had its hand in the texts.
fn causes(error: &dyn Error) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    harmless::on_one_line(&texts.join(": ")).chars().take(DESTINATION_ANSWER_CHARS_MAX).collect()
}

#[cfg(test)]
#[path = "outbound/tests.rs"]
mod tests;
