//! `simple_llm` with instructions that many want.

use super::{Config, member};
use crate::catalogue::{LoadError, Loading, NoConfig};
use crate::contract::OnError;
use crate::tree::Tree;

const BLOCKED: &str = "[BLOCKED]";

const DANGEROUS_COMMANDS: &str = "Block tool calls that run a shell command that destroys or endangers: removing files \
recursively or by force outside of build and temporary folders of the project, formatting or overwriting disks, changing \
rights of system folders, fork bombs, stopping system services, rewriting the history of shared branches, running a script \
straight from the network, or anything as bad in other words or other languages. Replace such a call by one text block that \
begins with [BLOCKED], names the command, and says in one sentence why. Everything else passes, all text included.";

const SENSITIVE_FILE_WRITES: &str = "Block tool calls that write, move, link or remove files that systems or accounts \
depend on: anything under /etc, /usr, /bin, /sbin, /boot, /lib or /var, ~/.ssh, ~/.gnupg, ~/.aws, ~/.kube, shell start-up \
files, cron and service definitions, .env and other files of credentials, git hooks and git configuration, whether by a \
tool that edits files or by a shell command. Replace such a call by one text block that begins with [BLOCKED], names the \
path, and says in one sentence why. Reading is allowed. Everything else passes, all text included.";

const WEB_REQUESTS: &str = "Block tool calls that talk to the network: tools that fetch or search the web, and shell \
commands or programs that open connections (curl, wget, nc, ssh, scp, rsync to a host, git with a remote, package managers \
that download, scripts that use an HTTP library). The machine's own loopback addresses are allowed. Replace such a call by \
one text block that begins with [BLOCKED], names the request (the URL or host), and says in one sentence why. Everything \
else passes, all text included.";

const NO_YAPPING: &str = "Make texts short. Remove openings that repeat the question, praise, announcements of what comes, \
summaries of what was just said, offers of further help, and filler. Keep every fact, number, warning, code block, command, \
path and link exactly as it is. A text that is short already passes. Tool calls pass.";

const NO_APOLOGIES: &str = "Remove apologies and expressions of regret from texts (\"sorry\", \"I apologize\", \"my mistake\" \
and the like), and join what remains so that it reads well. Keep the facts, also what went wrong and what is done about it. \
A text without apologies passes. Tool calls pass.";

const PLAIN_DASHES: &str = "Replace em dashes and en dashes in prose by plain punctuation: a comma, a colon, parentheses, a \
full stop or a hyphen, whichever reads best. Leave code blocks, inline code, commands and quotations as they are, and \
change nothing else. A text without such dashes passes. Tool calls pass.";

const PREFER_UV: &str = "Prefer uv for Python. In shell commands of tool calls and in commands shown in texts, replace \
`pip install X` by `uv add X` in a project and by `uv pip install X` elsewhere, `python -m venv` by `uv venv`, \
`pip-compile` and `pip-sync` by their `uv pip` forms, and `python script.py` by `uv run script.py`; poetry and pipenv \
likewise. A replaced call keeps its tool and its other fields. What does not manage or run Python passes.";

const DEAI: &str = "Make texts read as if a plain-spoken person had written them. Remove the habits of AI prose: words like \
delve, leverage, crucial, seamless, robust or tapestry, triads for rhythm, \"not just X but Y\", rhetorical questions, \
empty intensifiers, headings and bullet points where a sentence does, emoji, and closing summaries. Keep every fact, \
number, code block, command, path and link exactly as it is. A text that reads well already passes. Tool calls pass.";

fn blocking(loading: &Loading<'_>, name: &'static str, instructions: &str) -> Result<Tree, LoadError> {
    let NoConfig {} = loading.read()?;
    member(loading, name, Config::new(instructions, OnError::Block), Some(BLOCKED))
}

fn rewriting(loading: &Loading<'_>, name: &'static str, instructions: &str) -> Result<Tree, LoadError> {
    let NoConfig {} = loading.read()?;
    member(loading, name, Config::new(instructions, OnError::Pass), None)
}

pub(crate) fn block_dangerous_commands(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    blocking(loading, "block_dangerous_commands", DANGEROUS_COMMANDS)
}

pub(crate) fn block_sensitive_file_writes(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    blocking(loading, "block_sensitive_file_writes", SENSITIVE_FILE_WRITES)
}

pub(crate) fn block_web_requests(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    blocking(loading, "block_web_requests", WEB_REQUESTS)
}

pub(crate) fn no_yapping(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    rewriting(loading, "no_yapping", NO_YAPPING)
}

pub(crate) fn no_apologies(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    rewriting(loading, "no_apologies", NO_APOLOGIES)
}

pub(crate) fn plain_dashes(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    rewriting(loading, "plain_dashes", PLAIN_DASHES)
}

pub(crate) fn prefer_uv(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    rewriting(loading, "prefer_uv", PREFER_UV)
}

pub(crate) fn deai(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    rewriting(loading, "deai", DEAI)
}
