//! Which requests are model traffic, and of what kind.

use http::header::{AUTHORIZATION, UPGRADE};
use http::{HeaderMap, Method};
use luthien_wire::Dialect;

use crate::credentials::bearer;
use crate::errors::GatewayError;
use crate::headers::{API_KEY, FORWARD_KEY};

/// A request for a model's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) dialect: Dialect,
    pub(crate) kind: Kind,
    /// The path as it stands after `/v1`.
    pub(crate) path: String,
}

/// What is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A turn of a conversation: request and response policies apply.
    Turn,
    /// Makes a shorter conversation of one: what the model writes for it is an answer like any other.
    Compact,
    /// Counts the tokens of a turn: request policies apply.
    CountTokens,
    /// A response that the vendor keeps, whose id this is: response policies apply to what is read of it.
    Stored(String),
    /// What had been put into such a response, earlier answers of the model included: only where no policy looks at answers.
    InputItems,
    /// Passed on; no policy can read it.
    Side,
    /// Not passed on.
    Refused(GatewayError),
}

impl Kind {
    /// The answer is a model's words: response policies apply.
    pub(crate) fn is_reviewed(&self) -> bool {
        matches!(self, Self::Turn | Self::Compact | Self::Stored(_))
    }
}

/// The route of a request; `None` where it is not for a model. `allowed` are further paths that pass.
pub(crate) fn find(method: &Method, path: &str, headers: &HeaderMap, allowed: &[String]) -> Option<Route> {
    let rest = match path.strip_prefix("/v1") {
        Some(rest) if rest.starts_with('/') => rest,
        _ if matches!(path, "/messages" | "/messages/count_tokens" | "/chat/completions" | "/responses") => path,
        _ if path.starts_with("/responses/") => path,
        _ => return None,
    };
    let callers = side_dialect(rest, headers);
    let post = |dialect, kind| {
        (dialect, if method == Method::POST { kind } else { Kind::Refused(GatewayError::BadMethod(path.to_owned())) })
    };
    let (dialect, kind) = match rest {
        "/messages" => post(Dialect::Messages, Kind::Turn),
        "/messages/count_tokens" => post(Dialect::Messages, Kind::CountTokens),
        "/chat/completions" => post(Dialect::Chat, Kind::Turn),
        "/responses" if method == Method::GET && headers.contains_key(UPGRADE) => {
            (Dialect::Responses, Kind::Refused(GatewayError::NoWebSocket))
        }
        "/responses" => post(Dialect::Responses, Kind::Turn),
        "/responses/compact" => post(Dialect::Responses, Kind::Compact),
        "/responses/input_tokens" => post(Dialect::Responses, Kind::CountTokens),
        _ if is_crooked(&models_slashes(rest)) => {
            (callers, Kind::Refused(GatewayError::NotFound(format!("there is nothing at `{path}`"))))
        }
        _ if rest == "/models" || rest.starts_with("/models/") => (callers, models(method, path)),
        _ => {
            let allowed = allowed.iter().any(|pattern| matches(pattern, &format!("/v1{rest}")));
            match rest.strip_prefix("/responses/").and_then(|rest| stored(method, path, rest, allowed)) {
                Some(kind) => (Dialect::Responses, kind),
                None if allowed => (callers, Kind::Side),
                None => (callers, Kind::Refused(GatewayError::PathNotAllowed(path.to_owned()))),
            }
        }
    };
    Some(Route { dialect, kind, path: rest.to_owned() })
}

/// Whose path this is, where it is no turn: the caller's credential goes to that vendor's upstream. A header with a key alone
/// does not tell: a gateway key may stand in either, and so may the other vendor's.
fn side_dialect(rest: &str, headers: &HeaderMap) -> Dialect {
    const OPENAIS: [&str; 17] = [
        "assistants",
        "audio",
        "batches",
        "chat",
        "completions",
        "containers",
        "conversations",
        "embeddings",
        "evals",
        "fine_tuning",
        "images",
        "moderations",
        "realtime",
        "threads",
        "uploads",
        "vector_stores",
        "videos",
    ];
    match rest.split('/').nth(1) {
        Some("messages") => Dialect::Messages,
        Some(first) if OPENAIS.contains(&first) => Dialect::Chat,
        Some("responses") => Dialect::Responses,
        _ if headers.contains_key("anthropic-version") || brings_anthropics_key(headers) => Dialect::Messages,
        _ => Dialect::Chat,
    }
}

/// A key of Anthropic's came, and none that may be OpenAI's.
fn brings_anthropics_key(headers: &HeaderMap) -> bool {
    let keys = [API_KEY, AUTHORIZATION, FORWARD_KEY];
    let mut keys = keys.iter().filter_map(|name| headers.get(name)).map(bearer).filter(|key| key.starts_with(b"sk-"));
    keys.next().is_some_and(|first| first.starts_with(b"sk-ant-")) && keys.all(|key| key.starts_with(b"sk-ant-"))
}

/// What is asked for of a stored response; `rest` is the path from its id on. `None` for what nobody knows.
fn stored(method: &Method, path: &str, rest: &str, allowed: bool) -> Option<Kind> {
    let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
    let (takes, kind) = match what {
        "" if method == Method::DELETE => (Method::DELETE, Kind::Side),
        "" => (Method::GET, Kind::Stored(id.to_owned())),
        "cancel" => (Method::POST, Kind::Stored(id.to_owned())),
        "input_items" if allowed => (Method::GET, Kind::Side),
        "input_items" => (Method::GET, Kind::InputItems),
        _ => return None,
    };
    Some(if !is_plain_id(id) {
        Kind::Refused(GatewayError::NotFound(format!("there is nothing at `{path}`")))
    } else if *method == takes {
        kind
    } else {
        Kind::Refused(GatewayError::BadMethod(path.to_owned()))
    })
}

/// An id that an upstream reads as the gateway does.
fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn models(method: &Method, path: &str) -> Kind {
    if method == Method::GET { Kind::Side } else { Kind::Refused(GatewayError::BadMethod(path.to_owned())) }
}

/// The path with the slashes that clients escape in a model's name, where it names one.
fn models_slashes(path: &str) -> String {
    if path.starts_with("/models/") { path.replace("%2F", "/").replace("%2f", "/") } else { path.to_owned() }
}

/// A path that an upstream may read as another one than the gateway does.
fn is_crooked(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    // Some servers leave out what follows a `;`, and some decode twice.
    let plain = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.split('/').skip(1).any(|segment| matches!(plain(segment).as_str(), "" | "." | ".."))
        || ["%2e", "%2f", "%5c", "%25", "%3b", "\\"].iter().any(|trick| lower.contains(trick))
}

/// `*` at the end of a pattern stands for anything.
fn matches(pattern: &str, path: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == path, |prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn route(method: &Method, path: &str) -> Option<Route> {
        find(method, path, &HeaderMap::new(), &["/v1/embeddings".to_owned(), "/v1/files/*".to_owned()])
    }

    fn kind(path: &str) -> Kind {
        route(&Method::POST, path).unwrap().kind
    }

    #[test]
    fn turns_are_found_with_and_without_the_version() {
        for path in ["/v1/messages", "/messages"] {
            let expected = Route { dialect: Dialect::Messages, kind: Kind::Turn, path: "/messages".to_owned() };
            assert_eq!(route(&Method::POST, path), Some(expected));
        }
        assert_eq!(route(&Method::POST, "/chat/completions").unwrap().dialect, Dialect::Chat);
        assert_eq!(kind("/v1/messages/count_tokens"), Kind::CountTokens);
    }

    #[test]
    fn side_paths_belong_to_the_vendor_that_has_them() {
        let dialect = |path: &str, headers: &[(&'static str, &'static str)]| {
            let headers =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            find(&Method::GET, path, &headers.collect(), &["/v1/files/*".to_owned()]).unwrap().dialect
        };
        let (version, openais) = (("anthropic-version", "2023-06-01"), ("authorization", "Bearer sk-proj-1"));
        let (gateways, anthropics) = (("x-api-key", "gateway"), ("x-api-key", "sk-ant-1"));
        let oauth = ("authorization", "bearer sk-ant-oat-1");
        for path in ["/v1/models", "/v1/models/x", "/v1/files/1"] {
            for headers in [&[version][..], &[anthropics], &[oauth], &[gateways, oauth], &[version, gateways]] {
                assert_eq!(dialect(path, headers), Dialect::Messages, "{path} {headers:?}");
            }
            let alone = ("x-api-key", "sk-proj-1");
            for headers in [&[][..], &[openais], &[gateways], &[gateways, openais], &[anthropics, openais], &[alone]] {
                assert_eq!(dialect(path, headers), Dialect::Chat, "{path} {headers:?}");
            }
        }
        for path in
            ["/v1/embeddings", "/v1/moderations", "/v1/conversations/c", "/v1/batches", "/v1/chat/completions/c"]
        {
            assert_eq!(dialect(path, &[version, anthropics]), Dialect::Chat, "{path}");
        }
        assert_eq!(dialect("/v1/messages/batches", &[openais]), Dialect::Messages);
        assert_eq!(dialect("/v1/responses/r/other", &[version]), Dialect::Responses);
    }

    #[test]
    fn what_policies_cannot_see_passes_only_if_listed() {
        assert_eq!(kind("/v1/embeddings"), Kind::Side);
        assert_eq!(kind("/v1/files/1/content"), Kind::Side);
        for path in ["/v1/messages/batches", "/v1/completions", "/v1/messages/", "/v1/embeddings2"] {
            assert!(
                matches!(kind(path), Kind::Refused(error) if error.status() == 403 || error.status() == 404),
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        for path in ["/v1/files/..;/messages", "/v1/models/..;x=1/responses", "/v1/files/%252e%252e/messages"] {
            assert!(matches!(kind(path), Kind::Refused(GatewayError::NotFound(_))), "{path}");
        }
        for path in ["/v1/files/../messages", "/v1/files/%2e%2e/messages", "/v1/files//x", "/v1/models/..%2Fmessages"] {
            assert!(matches!(kind(path), Kind::Refused(GatewayError::NotFound(_))), "{path}");
        }
    }

    #[test]
    fn responses_have_endpoints_of_their_own() {
        let kind = |method: &Method, path: &str| {
            let route = route(method, path).unwrap();
            assert_eq!(route.dialect, Dialect::Responses, "{path}");
            route.kind
        };
        let response = Kind::Stored("resp_1".to_owned());
        for path in ["/v1/responses", "/responses"] {
            assert_eq!(kind(&Method::POST, path), Kind::Turn);
            assert!(matches!(kind(&Method::GET, path), Kind::Refused(GatewayError::BadMethod(_))));
        }
        for path in ["/v1/responses/compact", "/responses/compact"] {
            assert_eq!(kind(&Method::POST, path), Kind::Compact);
        }
        assert_eq!(kind(&Method::POST, "/v1/responses/input_tokens"), Kind::CountTokens);
        assert_eq!(kind(&Method::GET, "/v1/responses/resp_1"), response);
        assert_eq!(kind(&Method::POST, "/v1/responses/resp_1/cancel"), response);
        assert_eq!(kind(&Method::DELETE, "/v1/responses/resp_1"), Kind::Side);
        assert_eq!(kind(&Method::GET, "/v1/responses/resp_1/input_items"), Kind::InputItems);
        for path in ["/v1/responses/resp_1", "/v1/responses/compact", "/v1/responses/resp_1/cancel"] {
            assert!(matches!(kind(&Method::PUT, path), Kind::Refused(GatewayError::BadMethod(_))), "{path}");
        }
    }

    #[test]
    fn a_stored_responses_id_is_one_that_everybody_reads_alike() {
        for id in ["resp%5F1", "resp_1;x", "resp+1", "resp~1", "r\u{e9}sp", "resp%201"] {
            for method in [Method::GET, Method::DELETE] {
                let kind = route(&method, &format!("/v1/responses/{id}")).unwrap().kind;
                assert!(matches!(kind, Kind::Refused(error) if error.status() == 404), "{id}");
            }
        }
        let kind = route(&Method::GET, "/v1/responses/resp_a.B-9").unwrap().kind;
        assert_eq!(kind, Kind::Stored("resp_a.B-9".to_owned()));
    }

    #[test]
    fn what_else_the_vendor_keeps_is_refused() {
        for path in ["/v1/responses/resp_1/other", "/v1/conversations/conv_1/items", "/v1/batches", "/v1/responses/"] {
            let kind = route(&Method::GET, path).unwrap().kind;
            assert!(matches!(kind, Kind::Refused(error) if matches!(error.status().as_u16(), 403 | 404)), "{path}");
        }
        let allowed = ["/v1/responses/*".to_owned()];
        let kind = |path: &str| find(&Method::GET, path, &HeaderMap::new(), &allowed).unwrap().kind;
        assert_eq!(kind("/v1/responses/resp_1/input_items"), Kind::Side);
        assert_eq!(kind("/v1/responses/resp_1"), Kind::Stored("resp_1".to_owned()));
    }

    #[test]
    fn a_web_socket_is_refused_as_such() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, "websocket".parse().unwrap());
        for path in ["/v1/responses", "/responses"] {
            let route = find(&Method::GET, path, &headers, &[]).unwrap();
            assert_eq!(route.kind, Kind::Refused(GatewayError::NoWebSocket));
        }
    }

    #[test]
    fn a_models_name_may_have_slashes_in_it() {
        for path in ["/v1/models/org%2Fmodel", "/v1/models/org/model", "/v1/models/org%2fmodel:free"] {
            assert_eq!(route(&Method::GET, path).unwrap().kind, Kind::Side, "{path}");
        }
        for path in ["/v1/models/..%2Fmessages", "/v1/models/%2F", "/v1/models/a%2F%2E%2E%2Fb", "/v1/files/a%2Fb"] {
            assert!(
                matches!(route(&Method::GET, path).unwrap().kind, Kind::Refused(GatewayError::NotFound(_))),
                "{path}"
            );
        }
    }

    #[test]
    fn the_rest_is_not_model_traffic() {
        for path in ["/", "/api/hello", "/v1", "/v10/messages", "/request-logs"] {
            assert_eq!(route(&Method::GET, path), None, "{path}");
        }
    }
}
