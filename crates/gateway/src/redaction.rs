//! What is taken out before anything is stored or told: headers and parameters by their names, texts by patterns.

use std::fmt;

use http::{HeaderMap, HeaderName};
use luthien_policy::key_patterns;
use luthien_record::model::Headers;
use luthien_record::redact::{MARK, PatternError, Redactor};
use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client_keys::stands_in;
use crate::credentials::{bearer, is_secret_parameter, parameter_name, unescaped};

/// A private key to its end, where the policy about leaked keys is content with its beginning.
const PRIVATE_KEY: (&str, &str) = (
    "private_key",
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
);

/// Shorter secrets would be found by chance.
const SHORTEST: usize = 8;

/// Stands for every detector.
const ALL: &str = "all";

/// Which of the built-in detectors look at bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detectors(Vec<(String, &'static str)>);

impl Detectors {
    /// Those of a list of names; the error says which there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let known = known();
        let mut chosen = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let before = chosen.len();
            chosen.extend(known.iter().filter(|(known, _)| known == name || name == ALL).cloned());
            if chosen.len() == before {
                let mut names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
                names.dedup();
                return Err(format!("`{ALL}` or detectors, separated by commas: {}", names.join(", ")));
            }
        }
        Ok(Self(chosen))
    }
}

/// The detectors: a name and a pattern each; one name may have several.
fn known() -> Vec<(String, &'static str)> {
    let named = |kind: &str| {
        let kind = kind.trim_start_matches("an ").trim_start_matches("a ").to_ascii_lowercase();
        kind.replace([' ', '.', '-'], "_")
    };
    let keys = key_patterns().iter().map(|(kind, pattern)| (named(kind), *pattern));
    keys.filter(|(name, _)| name != PRIVATE_KEY.0).chain([(PRIVATE_KEY.0.to_owned(), PRIVATE_KEY.1)]).collect()
}

/// Regular expressions of the operator's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// One in each line. Each is compiled, so that a bad one is refused when it is read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let sources: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        for source in &sources {
            Redactor::new([(source.as_str(), source.as_str())])
                .map_err(|error| format!("regular expressions, one in each line; {error}"))?;
        }
        Ok(Self(sources))
    }
}

/// What takes out of texts and bodies what these find.
pub fn redactor(detectors: &Detectors, patterns: &Patterns) -> Result<Redactor, PatternError> {
    let built_in = detectors.0.iter().map(|(name, pattern)| (name.as_str(), *pattern));
    Redactor::new(built_in.chain(patterns.0.iter().map(|pattern| (pattern.as_str(), pattern.as_str()))))
}

/// The names of headers and query parameters that hold secrets.
#[derive(Clone, Default)]
pub struct SecretNames {
    headers: Vec<HeaderName>,
    parameters: Vec<String>,
    /// The gateway's own keys, which are secrets wherever they stand.
    values: Vec<SecretString>,
}

impl fmt::Debug for SecretNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SecretNames");
        shown.field("headers", &self.headers).field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl SecretNames {
    /// The usual ones and these.
    pub fn with(headers: &[String], parameters: &[String]) -> Self {
        let small = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
        let headers = small(headers).into_iter().filter_map(|name| HeaderName::try_from(name).ok()).collect();
        Self { headers, parameters: small(parameters), values: Vec::new() }
    }

    /// With these keys of the gateway's.
    #[must_use]
    pub fn and_keys(mut self, keys: impl IntoIterator<Item = SecretString>) -> Self {
        self.values.extend(keys);
        self
    }

    /// Whether a key of the gateway's stands in a text.
    fn holds_key(&self, text: &[u8]) -> bool {
        let stands = |key: &SecretString| {
            let key = key.expose_secret().as_bytes();
            key.len() >= SHORTEST && memmem::find(text, key).is_some()
        };
        stands_in(text) || self.values.iter().any(stands)
    }

    /// Whether a header's value is a secret.
    fn header(&self, name: &HeaderName) -> bool {
        const KNOWN: [&str; 9] = [
            "authorization",
            "proxy-authorization",
            "x-api-key",
            "x-anthropic-api-key",
            "api-key",
            "cookie",
            "set-cookie",
            "proxy-authenticate",
            "x-luthien-unreviewed",
        ];
        const ENDS: [&str; 9] =
            ["-token", "-secret", "-password", "api-key", "apikey", "-auth", "authorization", "-key", "-assertion"];
        let text = name.as_str();
        KNOWN.contains(&text) || self.headers.contains(name) || ENDS.iter().any(|end| text.ends_with(end))
    }

    /// The headers as the record keeps them: without those that hold secrets.
    pub(crate) fn kept(&self, headers: &HeaderMap) -> Headers {
        self.urls(listed(headers.iter().filter(|(name, _)| !self.header(name)), |_, value| self.holds_key(value)))
    }

    /// All headers, with a mark in place of secrets.
    pub(crate) fn masked(&self, headers: &HeaderMap) -> Headers {
        let brought: Vec<&[u8]> = headers
            .iter()
            .filter(|(name, _)| self.header(name))
            .map(|(_, value)| bearer(value))
            .filter(|secret| secret.len() >= SHORTEST)
            .collect();
        // What is a secret under one name is one under every other.
        let copied = |value: &[u8]| brought.iter().any(|secret| memmem::find(value, secret).is_some());
        self.urls(listed(headers.iter(), |name, value| self.header(name) || self.holds_key(value) || copied(value)))
    }

    fn urls(&self, mut headers: Headers) -> Headers {
        for (_, value) in headers.iter_mut().filter(|(name, _)| is_url(name)) {
            *value = self.query(value);
        }
        headers
    }

    /// A path or URL with a mark in place of the values of key parameters.
    pub(crate) fn query(&self, url: &str) -> String {
        let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
        let masked = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if self.parameter(name) || self.holds_key(&unescaped(value)) => {
                format!("{name}={MARK}")
            }
            None if self.holds_key(&unescaped(pair)) => MARK.to_owned(),
            _ => pair.to_owned(),
        });
        format!("{path}?{}", masked.collect::<Vec<_>>().join("&"))
    }

    fn parameter(&self, name: &str) -> bool {
        is_secret_parameter(name) || self.parameters.iter().any(|own| own.as_bytes() == parameter_name(name))
    }
}

fn listed<'h>(
    headers: impl Iterator<Item = (&'h HeaderName, &'h http::HeaderValue)>,
    is_secret: impl Fn(&HeaderName, &[u8]) -> bool,
) -> Headers {
    let value = |name: &HeaderName, value: &http::HeaderValue| {
        if is_secret(name, value.as_bytes()) {
            MARK.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        }
    };
    headers.map(|(name, held)| (name.as_str().to_owned(), value(name, held))).collect()
}

/// URLs that stand in headers may hold secrets too.
fn is_url(name: &str) -> bool {
    matches!(name, "location" | "content-location" | "referer")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_detector_compiles_and_names_are_checked() {
        let all = Detectors::parse("all").unwrap();
        let redactor = redactor(&all, &Patterns::parse("canary-\\w+\n\\bfoo{2,}").unwrap()).unwrap();
        assert_eq!(redactor.text("a canary-x, foooo"), "a [redacted], [redacted]");
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----, and on";
        assert_eq!(redactor.text(key), "[redacted], and on");
        let one = super::redactor(&Detectors::parse("github_token").unwrap(), &Patterns::default()).unwrap();
        let token = format!("ghp_{}", "a1".repeat(18));
        assert_eq!((one.text(&token), one.text("canary-x")), ("[redacted]".into(), "canary-x".into()));
        assert!(Detectors::parse("keys").unwrap_err().contains("`anthropic_key`"));
        assert!(Patterns::parse("(").unwrap_err().contains('('));
        assert!(Detectors::parse("").unwrap() == Detectors::default());
    }

    #[rstest]
    #[case("Authorization", true)]
    #[case("x-goog-api-key", true)]
    #[case("x-amz-security-token", true)]
    #[case("x-my-own", true)]
    #[case("anthropic-ratelimit-tokens-remaining", false)]
    #[case("x-request-id", false)]
    fn secrets_are_known_by_the_names_of_their_headers(#[case] name: &str, #[case] secret: bool) {
        let names = SecretNames::with(&["X-My-Own".to_owned()], &[]);
        let name = HeaderName::try_from(name).unwrap();
        let headers = HeaderMap::from_iter([(name.clone(), http::HeaderValue::from_static("v"))]);
        let shown = if secret { MARK } else { "v" };
        assert_eq!(names.masked(&headers), [(name.as_str().to_owned(), shown.to_owned())]);
        assert_eq!(names.kept(&headers).is_empty(), secret);
    }

    #[test]
    fn secrets_are_known_by_the_names_of_their_parameters() {
        let names = SecretNames::with(&[], &["Mine".to_owned()]);
        assert_eq!(names.query("/v1/x?a=1&API%5FKEY=s&mine=s&b"), "/v1/x?a=1&API%5FKEY=[redacted]&mine=[redacted]&b");
        assert_eq!(names.query("/v1/x"), "/v1/x");
    }

    #[test]
    fn the_gateways_keys_and_copies_of_credentials_are_secrets_under_any_name() {
        let names = SecretNames::default().and_keys(["the-admin-key".into()]);
        let issued = format!("lth-{}", "0a".repeat(32));
        assert_eq!(names.query(&format!("/v1/x?k={issued}&a=1")), "/v1/x?k=[redacted]&a=1");
        assert_eq!(names.query("/v1/x?auth=the%2Dadmin-key"), "/v1/x?auth=[redacted]");
        let header = |name: &'static str, value: &str| (HeaderName::from_static(name), value.parse().unwrap());
        let headers = HeaderMap::from_iter([
            header("authorization", "Bearer sk-callers-own"),
            header("x-one", &issued),
            header("x-two", "a the-admin-key"),
            header("x-three", "copy of sk-callers-own"),
            header("x-functions-key", "short"),
            header("x-four", "open"),
        ]);
        let shown: Vec<String> = names.masked(&headers).into_iter().map(|(_, value)| value).collect();
        assert_eq!(shown, [MARK, MARK, MARK, MARK, MARK, "open"]);
    }
}
