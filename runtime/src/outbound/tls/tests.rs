//! Against a server with TLS, whose certificate is its own authority and names 127.0.0.1.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::limits::DESTINATION_TIMEOUT;
use crate::outbound::{Outbound, PostError};

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(include_bytes!("certificate.pem")).unwrap()
}

fn acceptor() -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("key.pem")).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(server.with_single_cert(vec![certificate()], key).unwrap()))
}

/// Takes one request and answers; `None` where there is no agreement on TLS.
async fn serve(listener: &TcpListener) -> Option<String> {
    let (connection, _) = listener.accept().await.unwrap();
    let mut connection = acceptor().accept(connection).await.ok()?;
    let mut read = Vec::new();
    while !read.ends_with(b"a letter") {
        assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0);
    }
    connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    Some(String::from_utf8(read).unwrap())
}

/// What becomes of a request of who trusts these, and what the server got.
async fn asked(roots: RootCertStore, host: &str) -> (Result<(), PostError>, Option<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: SocketAddr = listener.local_addr().unwrap();
    let address = Address::parse(&format!("https://{host}:{}/failures", server.port())).unwrap();
    let outbound =
        Outbound { timeout: DESTINATION_TIMEOUT, trust: OnceCell::new_with(Some(Arc::new(trusting(roots).unwrap()))) };
    let post = outbound.post(&address, HeaderMap::new(), Bytes::from_static(b"a letter"));
    tokio::join!(post, serve(&listener))
}

fn trusted() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    roots
}

#[tokio::test]
async fn a_server_that_is_trusted_is_asked_over_tls() {
    let (outcome, received) = asked(trusted(), "127.0.0.1").await;
    outcome.unwrap();
    let received = received.unwrap();
    assert!(received.starts_with("POST /failures HTTP/1.1\r\n"), "{received}");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_asked() {
    let (outcome, received) = asked(RootCertStore::empty(), "127.0.0.1").await;
    assert_eq!(received, None);
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_server_of_another_name_is_not_asked() {
    let (outcome, received) = asked(trusted(), "localhost").await;
    assert_eq!(received, None);
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate: certificate not valid for name \"localhost\""), "{error}");
}
