//! Who may use the admin routes: who has the admin key. Where a call comes from counts for nothing.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::who::Who;

/// The admin key, as a hash: comparing takes the same time whatever is presented.
#[derive(Clone)]
pub struct AdminKey(blake3::Hash);

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey")
    }
}

impl AdminKey {
    /// The key to ask for.
    pub fn new(key: &SecretString) -> Self {
        Self(blake3::hash(key.expose_secret().as_bytes()))
    }

    fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(blake3::hash(presented).as_bytes()).into()
    }

    /// Whether the headers hold the key: 401 if they hold none at all, 403 if another.
    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
        let keys = headers.get_all("x-api-key").iter().map(|value| value.as_bytes().trim_ascii());
        let mut any = false;
        let mut good = false;
        for presented in bearers.chain(keys).filter(|presented| !presented.is_empty()) {
            any = true;
            good |= self.matches(presented);
        }
        match (good, any) {
            (true, _) => Ok(()),
            (false, true) => Err(ApiError::Forbidden),
            (false, false) => Err(ApiError::Unauthorized),
        }
    }
}

/// The token of a `Bearer` value.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Finds out who calls, for the layers and routes behind; who brings no credential, or a wrong one, is refused here.
pub(super) async fn identify(State(key): State<AdminKey>, mut request: Request, next: Next) -> Response {
    match key.check(request.headers()) {
        Ok(()) => {
            request.extensions_mut().insert(Who::with_admin_key());
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}
