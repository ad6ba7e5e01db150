//! TLS at the door: it begins on the same port as everything else, and is known by a connection's first byte.
//!
//! Promises HTTP/2 and HTTP/1.1 by ALPN, TLS 1.2 and 1.3, and that who comes again need not agree on everything anew. It
//! must not know where the certificate comes from, nor what is asked.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::ResolvesServerCert;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// What a client may speak inside of TLS (RFC 7301), the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// What is encrypted ahead of the socket.
const WRITTEN_BYTES_MAX: usize = 16 << 10;
/// The first byte of a client that speaks TLS: a handshake record (RFC 8446, section 5.1). No request of HTTP begins so.
const HANDSHAKE: u8 = 0x16;

/// Agrees with clients on TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Shows each client the certificate that is then given.
    pub fn showing(certificate: Arc<dyn ResolvesServerCert>) -> Result<Self, rustls::Error> {
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let versions = versions.with_safe_default_protocol_versions()?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(certificate);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        // Sessions are kept by the clients, sealed: nothing here grows with them.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) const fn is_begun_by(first: u8) -> bool {
        first == HANDSHAKE
    }

    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let mut inside = self.0.accept(stream).await?;
        inside.get_mut().1.set_buffer_limit(Some(WRITTEN_BYTES_MAX));
        Ok(inside)
    }
}
