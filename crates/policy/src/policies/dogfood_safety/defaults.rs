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
];

/// Commands that would stop or damage the gateway. A part of a command ends at `;`, `&`, `|` or a line's end.
pub(super) const PATTERNS: &[&str] = &[
    // Containers.
    r"\b(?:docker|podman)(?:-|\s+)compose\b[^;&|\n]*\s(?:down|stop|rm|kill)\b",
    r"\b(?:docker|podman)(?:\s+-\S+(?:\s+[^-\s]\S*)?)*?\s+(?:container\s+)?(?:stop|kill|rm)\b",
    // Processes and services.
    r"\b(?:pkill|killall)\b[^;&|\n]*luthien",
    r"\bkill\b[^;&\n]*\b(?:pgrep|pidof)\b[^;&\n]*luthien",
    r"\b(?:pgrep|pidof)\b[^;&\n]*luthien[^;&\n]*\bkill\b",
    r"\bsystemctl\b[^;&|\n]*\s(?:stop|kill|restart|disable|mask)\b[^;&|\n]*luthien",
    r"\bservice\s+\S*luthien\S*\s+(?:stop|restart)\b",
    r"\bluthien\s+(?:down|restart)\b",
    // Files.
    r"\b(?:rm|unlink|shred|truncate)\b[^;&|\n]*(?:luthien|\badmin\.key\b|\bdocker-compose\.ya?ml\b)",
    r"\bfind\b[^;&|\n]*luthien[^;&|\n]*-delete\b",
    // Databases.
    r"(?s)\bpsql\b.*\b(?:drop|truncate)\s+\w",
    r"(?s)\b(?:drop|truncate)\s+\w.*\bpsql\b",
    r"(?s)\bsqlite3\b.*luthien.*\b(?:drop|delete)\s+\w",
];

/// What stands in place of a blocked call. It does not repeat the command: nothing of a blocked call goes out.
pub(super) const MESSAGE: &str = "⛔ BLOCKED: this `{tool_name}` command would stop or damage the gateway that this session \
runs through.\n\nIt was not run. If it is wanted, ask the user to run it in a terminal of their own.";
