//! The written reference and `.env.example`, generated from the table.

use std::fmt::Write as _;

use super::DEFINITIONS;
use super::definition::{Definition, Kind};

const INTRODUCTION: &str = "# Settings

<!-- Generated from crates/gateway/src/settings.rs: UPDATE_DOCS=1 cargo nextest run -p luthien-gateway settings -->

A flag wins over the environment, that over the file, that over what was set while running (`PUT /api/admin/config/{name}`, kept in the
database, for the settings that say so), that over the default. For `auth.mode` environment and file say only what a new database begins with: what was set
while running counts more than both. An empty environment variable counts as not
set. The file is the one named by `--config` or `LUTHIEN_CONFIG`, else `luthien.yaml` in the working folder, else
`luthien/luthien.yaml` in the user's configuration folder. A key in it that nobody knows is an error.

- Times are written `500ms`, `10s`, `2m` or `1h`; a bare number is seconds. Sizes are written `512KiB` or `32MiB`; a bare number is bytes.
- A path in the file is relative to the file, any other to the working folder.
- `${NAME}` in a text of the file stands for that environment variable (`$${` for a plain `${`), except in the `policy` section.
- Secrets can also be read from a file: `CLIENT_API_KEY_FILE=/run/secrets/key`, `--client-api-key-file`, or `client_api_key_file:` in
  the file. A secret given as a flag can be seen by others on the machine.
";

const UPSTREAMS: &str = "
The file can add upstreams of its own, for models to be served by and for judges to ask:

```yaml
upstreams:
  local: { dialect: chat, base_url: http://127.0.0.1:9000/v1, auth: none, timeouts: { first_byte: 120s } }
  far:   { dialect: openai, base_url: https://models.example.com/v1, api_key: \"${FAR_KEY}\" }
```

| field | meaning |
|---|---|
| `dialect` | what it speaks: `messages` (Anthropic), `chat` or `responses` (one of OpenAI's), `openai` (both of OpenAI's) |
| `base_url` | as the vendors' SDKs take it |
| `api_key`, `api_key_file` | the gateway's own key there. What a rule, a fallback or a conversion sends there goes with this one, never with the caller's |
| `credential` | in its place, the name of a [stored credential](credentials.md), as it is stored at that moment |
| `auth` | `none`: it asks for no key, and no credential is ever sent to it |
| `timeouts` | `connect`, `first_byte` and `idle` in place of the general ones |
| `http2`, `ca_file`, `client_certificate`, `client_key` | in place of those below `network` |

`anthropic` and `openai` are there without being named, and take the same fields; `false` in place of the fields switches one off. A server in the place of OpenAI's that speaks\nChat alone: `openai: { dialect: chat, base_url: … }`. Which models go where: [models](#models).
";

const MODELS: &str = "
## models

Rules that send models to other upstreams than their dialect's default, a list in the file alone. The first that matches counts; [routing.md](routing.md) says what
happens then.

```yaml
models:
  - { match: \"local/*\", upstream: local, rename: \"*\" }
  - { match: claude-haiku-4-5, upstream: local, rename: qwen3, fallbacks: [anthropic] }
  - { match: \"gpt-*\", upstream: openai, fallbacks: [{ upstream: far, rename: \"open/gpt-*\" }] }
```

| field | meaning |
|---|---|
| `match` | a model's name, or one with a `*` that stands for anything |
| `upstream` | who serves it |
| `rename` | what the model is called there; a `*` is what the `*` of `match` stands for. Without it, as the client calls it |
| `fallbacks` | upstreams that are asked in turn when the one before cannot answer: names, or each with `upstream` and a `rename` of its own |
";

const POLICY: &str = "
The section also holds the policy itself, `class` and `config`:

```yaml
policy: { class: tool_call_judge, config: { probability_threshold: 0.6 } }
```
";

/// The reference of all settings, in Markdown.
pub(super) fn settings_reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    let mut section = "";
    for definition in DEFINITIONS {
        if definition.section() != section {
            if section == "upstreams" {
                out.push_str(MODELS);
            }
            section = definition.section();
            let _ = write!(out, "\n## {section}\n");
            out.push_str(match section {
                "upstreams" => UPSTREAMS,
                "policy" => POLICY,
                _ => "",
            });
            out.push_str("\n| in the file | environment | flag | default | meaning |\n|---|---|---|---|---|\n");
        }
        let _ = writeln!(
            out,
            "| `{}` | {} | `--{}` | {} | {}{} |",
            definition.path,
            names(definition),
            definition.flag(),
            default(definition),
            meaning(definition),
            note(definition)
        );
    }
    out
}

fn names(definition: &Definition) -> String {
    definition.environment.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn default(definition: &Definition) -> String {
    if definition.default.is_empty() { "none".to_owned() } else { format!("`{}`", definition.default) }
}

/// What may be given, behind the meaning.
fn note(definition: &Definition) -> String {
    match (definition.kind, definition.range) {
        (Kind::Choice(words), _) => {
            format!(" One of {}.", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
        }
        (Kind::Secret, _) => " Secret.".to_owned(),
        (_, Some((low, high))) => format!(" From {low} to {high}."),
        _ => String::new(),
    }
}

/// An environment file with every setting, all commented out.
pub(super) fn env_example() -> String {
    let mut out = "# Every setting of the gateway, with its default, for whatever sets its environment: a container, a systemd unit, or a shell\n\
                   # (`set -a; . ./.env; luthien`). The gateway does not read this file itself. Copy it and take the `#` off what you change.\n\
                   # For development only as it stands: before others can reach the gateway, set CLIENT_API_KEY, use keys of your own\n\
                   # (32 random characters or more), and keep this file out of version control.\n\
                   # Generated; docs/settings.md explains more.\n\n\
                   # A settings file to read in place of luthien.yaml.\n#LUTHIEN_CONFIG=\n"
        .to_owned();
    let mut section = "";
    for definition in DEFINITIONS {
        if definition.section() != section {
            section = definition.section();
            let _ = write!(out, "\n# --- {section} ---\n");
        }
        let _ = write!(out, "\n# {}{}\n", definition.meaning(), note(definition));
        let _ = writeln!(out, "#{}={}", definition.environment.first().unwrap_or(&""), definition.default);
    }
    out
}

fn meaning(definition: &Definition) -> String {
    let live = match (definition.first_boot, definition.live) {
        (true, _) => " Can be changed while the gateway runs, which then counts more than environment and file.",
        (false, true) => " Can be changed while the gateway runs.",
        (false, false) => "",
    };
    definition.meaning() + live
}
