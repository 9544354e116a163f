//! Which tools are shells, which commands would stop or damage the gateway, and what the agent is told.

/// Names of shell tools in the agents that are in use; compared in any case.
pub(super) const TOOLS: &[&str] = &[
    "Bash",
    "sh",
    "shell",
    "shell_call",
    "local_shell",
    "local_shell_call",
    "container.exec",
    "terminal",
    "execute",
    "exec",
    "exec_command",
    "run_command",
    "execute_command",
    "run_shell_command",
    "run_terminal_cmd",
    "run_in_terminal",
    "shell_command",
    "powershell",
    "write_stdin",
    "unified_exec",
];

/// Commands that would stop or damage the gateway. A part of a command ends at `;`, `&`, `|` or a line's end.
pub(super) const PATTERNS: &[&str] = &[
    // Containers: options, with their values, may stand before each word.
    r#"\b(?:docker|podman)(?:\.exe)?(?:\s+-\S+(?:\s+(?:"[^"]*"|'[^']*'|[^-\s]\S*))?)*?(?:-|\s+)compose(?:\s+-\S+(?:\s+(?:"[^"]*"|'[^']*'|[^-\s]\S*))?)*?\s+(?:down|stop|rm|kill)(?:[\s;&|)}"'`]|$)"#,
    r#"\b(?:docker|podman)(?:\.exe)?(?:\s+-\S+(?:\s+[^-\s]\S*)?)*?\s+(?:container\s+)?(?:stop|kill|rm)(?:[\s;&|)}"'`]|$)"#,
    // Processes and services.
    r"\b(?:pkill|killall)\b[^;&|\n]*luthien",
    r"(?:^|[^\w.-])kill\b[^;&|\n]*(?:\$\(|`)[^;&\n]*\[?l\]?uthien",
    r"\b(?:pgrep|pidof)\b[^;&\n]*luthien[^;&\n]*\bkill\b",
    r"\[?l\]?uthien[^;&\n]*\|\s*(?:sudo\s+)?xargs(?:\s+-\S+(?:\s+(?:\d+|\{\}))?)*\s+(?:sudo\s+)?kill\b",
    r"\bsystemctl\b[^;&|\n]*\s(?:stop|kill|restart|disable|mask)\b[^;&|\n]*luthien",
    r"\bservice\s+\S*luthien\S*\s+(?:stop|restart)\b",
    r"\blaunchctl\b[^;&|\n]*\s(?:bootout|unload|stop|kill|remove|disable)\b[^;&|\n]*luthien",
    r#"\bluthien(?:\s+-\S+(?:\s+[^-\s]\S*)?)*?\s+(?:down|restart)(?:[\s;&|)}"'`]|$)"#,
    // What is the operator's to say: answers to questions, the panic switch, the policies, settings, keys, and the key to all of it.
    r#"\bluthien(?:\s+-\S+(?:\s+[^-\s]\S*)?)*?\s+(?:policy\b[^;&|\n]*\s(?:set|rollback)|config\b[^;&|\n]*\s(?:set|unset)|keys\b[^;&|\n]*\s(?:create|revoke))(?:[\s;&|)}"'`]|$)"#,
    r#"\bluthien(?:\s+-\S+(?:\s+[^-\s]\S*)?)*?\s+(?:approvals\b[^;&|\n]*\s(?:allow|deny)|panic\b[^;&|\n]*\s(?:off|traffic|tool-calls))(?:[\s;&|)}"'`]|$)"#,
    r"\b(?:curl|wget|xh|https?)\s[^;&|\n]*/admin/(?:policy/(?:set|rollback|assignments)|approvals/|panic|config/|client-keys)",
    r"luthien\S*/admin\.key\b",
    // Files. What follows a hyphen is an option (`docker run --rm`), not the command.
    r"(?:^|[^\w.-])(?:rm|unlink|shred|truncate)\b[^;&|\n]*(?:luthien|\badmin\.key\b|\b(?:docker-)?compose\.ya?ml\b)",
    r"\bfind\b[^;&|\n]*luthien[^;&|\n]*\s-(?:delete|exec(?:dir)?\s+(?:sudo\s+)?(?:\S*/)?(?:rm|unlink|shred|truncate))\b",
    // Databases.
    r"(?s)\bpsql\b.*\b(?:drop|truncate)\s+\w",
    r"(?s)\b(?:drop|truncate)\s+\w.*\bpsql\b",
    r"(?s)\bsqlite3\b.*luthien.*\b(?:drop|delete)\s+\w",
    r"\bdropdb\b[^;&|\n]*luthien",
];

/// What stands in place of a blocked call. It does not repeat the command: nothing of a blocked call goes out.
pub(super) const MESSAGE: &str = "⛔ BLOCKED: this `{tool_name}` command would stop or damage the gateway that this session \
runs through.\n\nIt was not run. If it is wanted, ask the user to run it in a terminal of their own.";
