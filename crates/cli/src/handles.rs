//! File handles: a gateway takes as many as the system lets it have, and no more connections than they suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the database, the journal, the runtime and the admin routes.
const OWN: u64 = 64;

/// A client's connection and the one to an upstream that its request may need.
const EACH: u64 = 2;

/// Raises this process's limit of open files to what it may have without asking anybody. Many systems begin with 1024 for the
/// sake of old programs.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// How many of `wanted` connections the open files that are allowed suffice for; fewer are said in the log.
pub(crate) fn connections(wanted: usize) -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else { return wanted };
    let most = room(files, wanted);
    if most < wanted {
        tracing::warn!(
            "{most} client connections at once instead of {wanted} (MAX_CONNECTIONS): only {files} open files are allowed; \
             raise that with `ulimit -n`"
        );
    }
    most
}

/// At least one; one without an upstream's answers is still told why.
pub(crate) fn room(files: u64, wanted: usize) -> usize {
    let most = files.saturating_sub(OWN) / EACH;
    usize::try_from(most).map_or(wanted, |most| most.clamp(1, wanted.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_handles_for_upstreams_and_the_record() {
        assert_eq!(room(1024, 10_000), 480);
        assert_eq!(room(1 << 20, 10_000), 10_000);
        assert_eq!(room(10, 10_000), 1);
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
