//! The command line of those who begin: `setup`, and `import-config` for those who come from an older proxy.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `setup`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SetupArgs {
    /// Which agent will come; may be given twice
    #[arg(long, value_enum, value_name = "WORD")]
    pub(crate) agent: Vec<AgentWord>,

    /// What to begin with
    #[arg(long, value_enum, value_name = "WORD")]
    pub(crate) policy: Option<PolicyWord>,

    /// A file that holds the gateway's own key at Anthropic; without it, agents' own logins and keys go through
    #[arg(long, value_name = "FILE")]
    pub(crate) anthropic_key_file: Option<PathBuf>,

    /// The same at OpenAI
    #[arg(long, value_name = "FILE")]
    pub(crate) openai_key_file: Option<PathBuf>,

    /// The port [default: 8000, or the next one that is free]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) port: Option<u16>,

    /// The file to write [default: luthien.yaml in your configuration folder, which counts wherever you start]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Ask nothing: what no flag says is as recommended
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Write over a file that is there; it is kept beside as .old
    #[arg(long)]
    pub(crate) force: bool,
}

/// An agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AgentWord {
    /// Claude Code
    Claude,
    /// Codex
    Codex,
    /// Programs with a vendor's SDK
    Sdk,
}

/// A policy to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyWord {
    /// Built-in rules against destruction, theft, persistence and evasion
    Guard,
    /// Everything passes and is recorded
    Record,
    /// The rules, and a model that judges each tool call
    Judge,
}

/// `import-config`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImportConfigArgs {
    /// A .env file, and a policy file in YAML or JSON
    #[arg(value_name = "PATH", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// The settings file to write
    #[arg(long, short, value_name = "FILE", default_value = "luthien.yaml")]
    pub(crate) output: PathBuf,

    /// The file for secrets, for whatever sets the gateway's environment
    #[arg(long, value_name = "FILE", default_value = "luthien.env")]
    pub(crate) secrets: PathBuf,

    /// Write nothing, only print what would be written; secrets stay hidden
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Write over files that are there
    #[arg(long)]
    pub(crate) force: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
