//! The settings of TLS to PostgreSQL: the certificate of the client, and which settings exclude each other.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;

use super::choices::{CHANNEL_BINDING, SSL_NEGOTIATION};
use super::layers::Rank;
use super::read::Files;
use super::values::Values;
use super::{ChannelBinding, ClientCertificate, Secret, SslMode, SslNegotiation, TargetSettings};
use crate::tls::client;

const CERTIFICATE: &str = "POSTGRES_SSL_CERT";
const KEY: &str = "POSTGRES_SSL_KEY";

impl ClientCertificate {
    /// The identity that a handshake shows.
    ///
    /// # Errors
    /// What is wrong with the certificate or the key.
    pub fn identity(&self) -> Result<Arc<dyn ResolvesClientCert>, String> {
        client::identity(self.certificates.expose(), self.key.expose())
    }
}

impl Values<'_> {
    /// The certificate of the client, if there is one and TLS is used. If a certificate from the home folder cannot be
    /// used, that is a warning; if a named one cannot be used, that is a problem.
    pub(super) fn client_certificate(
        &mut self,
        mode: SslMode,
        files: &mut Files,
        warnings: &mut Vec<String>,
    ) -> Option<ClientCertificate> {
        let is_set = |key| self.chosen.get(key).is_some_and(|chosen| chosen.rank > Rank::Default);
        let is_named = is_set(CERTIFICATE) || is_set(KEY);
        // A file that nobody has named must not choose the server that learns who the operator is.
        let is_found = |key| self.chosen.get(key).is_some_and(|chosen| chosen.rank == Rank::FoundFile);
        let is_for_another = !is_named && (is_found("POSTGRES_HOST") || is_found("POSTGRES_PORT"));
        if mode == SslMode::Disable || is_for_another || !self.chosen.contains_key(CERTIFICATE) && !is_named {
            return None;
        }
        let before = self.problems.len();
        let read = self.read_certificate(files);
        let wrong = match read {
            None => self.problems.split_off(before),
            Some(certificate) => match certificate.identity() {
                Ok(_) => return Some(certificate),
                Err(why) => vec![format!("{CERTIFICATE} and {KEY} cannot be used: {why}")],
            },
        };
        if is_named {
            self.problems.extend(wrong);
        } else {
            warnings.extend(
                wrong.into_iter().map(|why| format!("the certificate of the home folder has no effect: {why}")),
            );
        }
        None
    }

    fn read_certificate(&mut self, files: &mut Files) -> Option<ClientCertificate> {
        for (one, other) in [(CERTIFICATE, KEY), (KEY, CERTIFICATE)] {
            if !self.chosen.contains_key(one) {
                self.problems.push(format!("{other} is set without {one}: the two belong together"));
                return None;
            }
        }
        let (certificates, _) = self.file(CERTIFICATE, files)?;
        let path = self.folder.join(self.optional(KEY)?);
        if let Some(mode) = open_to_others(&path) {
            self.problems.push(format!(
                "{KEY} is {}: it has mode {mode:04o}, and others could read it: chmod 0600",
                path.display()
            ));
            return None;
        }
        let (key, _) = self.file(KEY, files)?;
        Some(ClientCertificate { certificates: Secret::new(certificates), key: Secret::new(key) })
    }

    pub(super) fn channel_binding(&mut self) -> ChannelBinding {
        self.choice(&CHANNEL_BINDING)
    }

    pub(super) fn ssl_negotiation(&mut self) -> SslNegotiation {
        self.choice(&SSL_NEGOTIATION)
    }

    /// A required protection must be possible in this mode of TLS.
    pub(super) fn encryption_fits(&mut self, target: &TargetSettings) {
        let origin = |key: &str| self.chosen.get(key).map_or("", |chosen| chosen.origin.as_str());
        let is_plain = target.hosts.iter().all(|host| host.starts_with('/'));
        let mode = origin("POSTGRES_SSL_MODE");
        if target.channel_binding == ChannelBinding::Require && (is_plain || target.ssl_mode == SslMode::Disable) {
            let why =
                if is_plain { "a Unix socket has none" } else { &format!("POSTGRES_SSL_MODE is disable ({mode})") };
            let origin = origin(CHANNEL_BINDING.name);
            self.problems.push(format!("{} is require ({origin}), which needs TLS: {why}", CHANNEL_BINDING.name));
        }
        let is_weak = matches!(target.ssl_mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
        if target.ssl_negotiation == SslNegotiation::Direct && is_weak && !is_plain {
            let origin = origin(SSL_NEGOTIATION.name);
            self.problems.push(format!(
                "{} is direct ({origin}), which leaves no way without TLS: POSTGRES_SSL_MODE must be require, verify-ca or \
                 verify-full",
                SSL_NEGOTIATION.name
            ));
        }
    }
}

/// The mode of a key file, if it is too open for libpq: only its owner may read it, or also its group if it belongs to
/// root.
fn open_to_others(path: &Path) -> Option<u32> {
    let about = path.metadata().ok()?;
    let mode = about.permissions().mode() & 0o777;
    let closed_to = if about.uid() == 0 { 0o037 } else { 0o077 };
    (mode & closed_to != 0).then_some(mode)
}
