//! The way of a request over real sockets: a client, the gateway, a scripted upstream, the record.

#[cfg(test)]
mod admin_tokens;
#[cfg(test)]
mod asks;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod bytes;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod caps;
#[cfg(test)]
mod client_keys;
#[cfg(test)]
mod converted;
#[cfg(test)]
mod converted_streams;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod disconnects;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod fallbacks;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod input;
#[cfg(test)]
mod models;
#[cfg(test)]
mod notified;
#[cfg(test)]
mod outward;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod searches;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod stored_credentials;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod told;
#[cfg(test)]
mod trailers;
#[cfg(test)]
mod validated;
