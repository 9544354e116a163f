//! The built-in policies: names, words for people, schemas, examples.

mod requests;
mod teaching;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{Entry, NoConfig};
use crate::policies::simple_llm::presets;
use crate::policies::{
    all_caps, branch, debug_logging, dogfood_safety, guard, no_op, parallel, python, rules, serial, shadow, simple_llm,
    string_replacement, tool_call_judge, webhook,
};

/// The schema of a configuration, without the name of its type, which says nothing to people.
fn schema<T: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(T);
    schema.remove("title");
    schema.to_value()
}

fn nothing() -> Value {
    json!({})
}

/// All of them, in the order in which they are shown.
pub(super) fn all() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().chain(requests::ENTRIES).chain(teaching::ENTRIES)
}

static ENTRIES: &[Entry] = &[
    Entry {
        name: "tool_call_judge",
        older: &["luthien_proxy.policies.tool_call_judge_policy:ToolCallJudgePolicy"],
        display_name: "Tool call judge",
        short_description: "A model judges every tool call before the agent may run it.",
        description: "Asks a model about each tool call how likely it is harmful, and blocks it from a threshold on. \
                      The calls of an answer are judged at the same time; text before them streams on. A verdict that \
                      is missing or cannot be read blocks. What the agent is told about a block is the setting \
                      feedback.",
        category: "safety",
        badges: &["judge", "blocks"],
        schema: schema::<tool_call_judge::Config>,
        example: || json!({"probability_threshold": 0.6}),
        build: tool_call_judge::build,
    },
    Entry {
        name: "guard",
        older: &[],
        display_name: "Guard",
        short_description: "Built-in rules against destruction, theft and hiding. No model is asked.",
        description: "Reads what shell commands and file tools do, and stops what destroys files, repositories or \
                      services, takes credentials, runs code from the network, opens ways in or out, makes something \
                      stay, gets rights that nobody gave, or hides. Decides in microseconds. Categories can be left to \
                      a person or only flagged, rules switched off, paths and commands allowed, paths protected.",
        category: "safety",
        badges: &["blocks"],
        schema: schema::<guard::Config>,
        example: || json!({"protected_paths": ["~/notes"], "allowed_paths": ["/srv/scratch"]}),
        build: guard::build,
    },
    Entry {
        name: "rules",
        older: &[],
        display_name: "Rules",
        short_description: "Conditions of your own over tool calls, texts and requests.",
        description: "Conditions in CEL, each with what happens where it holds: block, ask a person, drop, rewrite, \
                      flag with a score, show a notice, or send the request elsewhere. Shell commands are understood: \
                      what they read, write, delete, run and connect to. The first rule that decides counts. A rule \
                      carries examples that it has to match and that it must not, tried when the policy is loaded.",
        category: "safety",
        badges: &["blocks", "rewrites"],
        schema: schema::<rules::Config>,
        example: || {
            json!({"rules": [{
                "name": "keep-keys",
                "when": "tool.effects.reads(\"~/.ssh\")",
                "action": "block",
                "match": ["cat ~/.ssh/id_rsa"],
                "no_match": ["ls ~/project"],
            }]})
        },
        build: rules::build,
    },
    Entry {
        name: "dogfood_safety",
        older: &["luthien_proxy.policies.dogfood_safety_policy:DogfoodSafetyPolicy"],
        display_name: "Self-protection",
        short_description: "Keeps the agent from stopping the gateway that it runs through.",
        description: "Looks at the commands of shell tools and blocks those that would stop or damage the gateway: its \
                      containers, processes, services, files and databases. Works with patterns, asks no model, and \
                      reads commands that are no valid JSON raw.",
        category: "safety",
        badges: &["blocks"],
        schema: schema::<dogfood_safety::Config>,
        example: nothing,
        build: dogfood_safety::build,
    },
    Entry {
        name: "block_dangerous_commands",
        older: &["luthien_proxy.policies.presets.block_dangerous_commands:BlockDangerousCommandsPolicy"],
        display_name: "Block dangerous commands",
        short_description: "Shell commands that destroy or endanger are blocked.",
        description: "A model reads every tool call and replaces shell commands that destroy data, endanger the system \
                      or run code straight from the network by a text that begins with [BLOCKED] and names the \
                      command. Blocks when the model gives no verdict.",
        category: "safety",
        badges: &["judge", "blocks"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::block_dangerous_commands,
    },
    Entry {
        name: "block_sensitive_file_writes",
        older: &["luthien_proxy.policies.presets.block_sensitive_file_writes:BlockSensitiveFileWritesPolicy"],
        display_name: "Block sensitive file writes",
        short_description: "Writes to system files, keys and credentials are blocked.",
        description: "A model reads every tool call and replaces writes to system folders, keys, credentials and \
                      start-up files by a text that begins with [BLOCKED] and names the path. Blocks when the model \
                      gives no verdict.",
        category: "safety",
        badges: &["judge", "blocks"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::block_sensitive_file_writes,
    },
    Entry {
        name: "block_web_requests",
        older: &["luthien_proxy.policies.presets.block_web_requests:BlockWebRequestsPolicy"],
        display_name: "Block web requests",
        short_description: "Tool calls that talk to the network are blocked.",
        description: "A model reads every tool call and replaces those that talk to the network by a text that begins \
                      with [BLOCKED] and names the request. Blocks when the model gives no verdict.",
        category: "safety",
        badges: &["judge", "blocks"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::block_web_requests,
    },
    Entry {
        name: "simple_llm",
        older: &["luthien_proxy.policies.simple_llm_policy:SimpleLLMPolicy"],
        display_name: "Rules in plain words",
        short_description: "A model applies your instructions to every text and tool call.",
        description: "A model reads each text and each tool call under instructions in plain words, and lets it pass \
                      or writes it anew. Texts are held to their end; tool calls are judged at the same time. What \
                      happens when the model gives no verdict is the setting on_error.",
        category: "judges",
        badges: &["judge", "rewrites"],
        schema: schema::<simple_llm::Config>,
        example: || json!({"instructions": "Replace swear words by mild ones. Let everything else pass."}),
        build: simple_llm::build,
    },
    Entry {
        name: "string_replacement",
        older: &["luthien_proxy.policies.string_replacement_policy:StringReplacementPolicy"],
        display_name: "Replace text",
        short_description: "Words and phrases replaced by others.",
        description: "Replaces literal texts in answers as they stream, in requests, or in both, also where a text \
                      arrives in pieces. Pairs apply in order, and later pairs see what earlier ones wrote. With \
                      match_capitalization any case matches and the replacement takes over the case.",
        category: "rewriting",
        badges: &["streams"],
        schema: schema::<string_replacement::Config>,
        example: || json!({"replacements": [["foo", "bar"]], "match_capitalization": true}),
        build: string_replacement::build,
    },
    Entry {
        name: "no_yapping",
        older: &["luthien_proxy.policies.presets.no_yapping:NoYappingPolicy"],
        display_name: "No yapping",
        short_description: "Short answers.",
        description: "A model takes filler, praise, repetition and offers of help out of the text and keeps every \
                      fact. Tool calls pass. Passes, with a notice, when the model gives no verdict.",
        category: "rewriting",
        badges: &["judge", "rewrites"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::no_yapping,
    },
    Entry {
        name: "no_apologies",
        older: &["luthien_proxy.policies.presets.no_apologies:NoApologiesPolicy"],
        display_name: "No apologies",
        short_description: "No apologies in answers.",
        description: "A model takes apologies out of the text and keeps what went wrong and what is done about it. \
                      Tool calls pass. Passes, with a notice, when the model gives no verdict.",
        category: "rewriting",
        badges: &["judge", "rewrites"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::no_apologies,
    },
    Entry {
        name: "plain_dashes",
        older: &["luthien_proxy.policies.presets.plain_dashes:PlainDashesPolicy"],
        display_name: "Plain dashes",
        short_description: "No em dashes in answers.",
        description: "A model replaces em dashes and en dashes in prose by plain punctuation. Code, commands and tool \
                      calls stay as they are. Passes, with a notice, when the model gives no verdict.",
        category: "rewriting",
        badges: &["judge", "rewrites"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::plain_dashes,
    },
    Entry {
        name: "prefer_uv",
        older: &["luthien_proxy.policies.presets.prefer_uv:PreferUvPolicy"],
        display_name: "Prefer uv",
        short_description: "Python through uv.",
        description: "A model rewrites pip, venv, poetry and pipenv commands, in text and in tool calls, to their uv \
                      forms. Passes, with a notice, when the model gives no verdict.",
        category: "rewriting",
        badges: &["judge", "rewrites"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::prefer_uv,
    },
    Entry {
        name: "deai",
        older: &["luthien_proxy.policies.presets.deai:DeAIPolicy"],
        display_name: "Plain prose",
        short_description: "Answers without the habits of AI prose.",
        description: "A model rewrites texts so that they read as if a plain-spoken person had written them, and keeps \
                      every fact. Tool calls pass. Passes, with a notice, when the model gives no verdict.",
        category: "rewriting",
        badges: &["judge", "rewrites"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: presets::deai,
    },
    Entry {
        name: "all_caps",
        older: &["luthien_proxy.policies.all_caps_policy:AllCapsPolicy"],
        display_name: "All caps",
        short_description: "Answers in capital letters.",
        description: "Turns the text of every answer into upper case as it streams. Tool calls and thinking stay as \
                      they are. Good for seeing at a glance that the gateway is in the way.",
        category: "rewriting",
        badges: &["streams"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: all_caps::build,
    },
    Entry {
        name: "python",
        older: &[],
        display_name: "Python policy",
        short_description: "A policy of your own in a Python file.",
        description: "Starts the policy in a Python file, written with the SDK luthien-policy, as a process of its own, and \
                      asks it about all that it watches. It is started again when it dies, and ends with the gateway or \
                      when another policy is set. What happens when it gives no answer is the setting on_error.",
        category: "outside",
        badges: &["Python"],
        schema: schema::<python::Config>,
        example: || json!({"file": "/etc/luthien/policy.py", "watches": {"tool_calls": true}}),
        build: python::build,
    },
    Entry {
        name: "webhook",
        older: &[],
        display_name: "Policy server",
        short_description: "A server of your own decides, in any language.",
        description: "Asks a policy server over HTTP, TLS or a Unix socket about all that it watches, and carries out \
                      its answers: pass, replace, block, ask a person. The protocol is docs/webhook.md. What happens when the server \
                      gives no answer is the setting on_error, which blocks unless something else is said.",
        category: "outside",
        badges: &["any language"],
        schema: schema::<webhook::Config>,
        example: || json!({"url": "http://127.0.0.1:8900", "watches": {"tool_calls": true}}),
        build: webhook::build,
    },
    Entry {
        name: "serial",
        older: &["luthien_proxy.policies.multi_serial_policy:MultiSerialPolicy", "SerialPolicy", "CompoundPolicy"],
        display_name: "Chain",
        short_description: "Several policies, one after the other.",
        description: "Runs its policies in the order of the list, for requests and answers alike. Each sees what the \
                      one before it let out. Chains may hold chains; a mode on a chain holds for all its members.",
        category: "composition",
        badges: &[],
        schema: schema::<serial::Config>,
        example: || json!({"policies": [{"class": "no_op"}, {"class": "all_caps"}]}),
        build: serial::build,
    },
    Entry {
        name: "parallel",
        older: &["luthien_proxy.policies.multi_parallel_policy:MultiParallelPolicy"],
        display_name: "Group",
        short_description: "Several policies that see the same; one answer counts.",
        description: "Asks its policies about the same thing at the same time, and makes one answer of theirs: the first \
                      block, the one that lets least through, pass only if all or most pass, or what a designated one \
                      says. The answers that do not count are recorded as overruled. Texts are held to their end.",
        category: "composition",
        badges: &[],
        schema: schema::<parallel::Config>,
        example: || {
            json!({"policies": [{"class": "dogfood_safety"}, {"class": "tool_call_judge"}],
                "consolidation_strategy": "first_block"})
        },
        build: parallel::build,
    },
    Entry {
        name: "branch",
        older: &["BranchingPolicy"],
        display_name: "Branches",
        short_description: "Which policies apply is decided by the request.",
        description: "Takes the first of its branches whose condition holds for the request, as the policies before it let \
                      it out, and the default where none does. Conditions are expressions in CEL; those of \
                      luthien_control are taken too. Where a condition cannot be evaluated all branches apply.",
        category: "composition",
        badges: &[],
        schema: schema::<branch::Config>,
        example: || {
            json!({"branches": [{"when": "request.model.startsWith(\"gpt-\")", "policy": {"class": "tool_call_judge"}}],
                "default": {"class": "dogfood_safety"}})
        },
        build: branch::build,
    },
    Entry {
        name: "shadow",
        older: &[],
        display_name: "Shadow",
        short_description: "Tries a policy out: recorded, nothing changed.",
        description: "Asks its policy about copies and records what it would have done. Answers are neither held nor \
                      changed by it, and its verdicts may come after the answer has gone.",
        category: "composition",
        badges: &["looks only"],
        schema: schema::<shadow::Config>,
        example: || json!({"policy": {"class": "all_caps"}}),
        build: shadow::build,
    },
    Entry {
        name: "debug_logging",
        older: &["luthien_proxy.policies.debug_logging_policy:DebugLoggingPolicy"],
        display_name: "Debug log",
        short_description: "Requests and answers in the gateway's log.",
        description: "Writes requests and answers to the gateway's log, bounded in length, with credentials redacted. \
                      It looks at copies: whatever its mode, it runs as a shadow, holds nothing and changes nothing.",
        category: "basics",
        badges: &["looks only"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: debug_logging::build,
    },
    Entry {
        name: "no_op",
        older: &[
            "luthien_proxy.policies.noop_policy:NoOpPolicy",
            "luthien_proxy.policies.simple_noop_policy:SimpleNoOpPolicy",
            "NoopPolicy",
        ],
        display_name: "No policy",
        short_description: "Passes everything.",
        description: "Watches nothing and changes nothing: requests and answers go through byte for byte and are \
                      recorded.",
        category: "basics",
        badges: &[],
        schema: schema::<NoConfig>,
        example: nothing,
        build: no_op::build,
    },
];
