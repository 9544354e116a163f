//! The built-in policies for beginning, teaching and showing.

use serde_json::json;

use super::{nothing, schema};
use crate::catalogue::Entry;
use crate::policies::{conversation_link, demo_force_tool, onboarding, simple_judge, template, tx_logging};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "simple_judge",
        older: &["luthien_proxy.policies.simple_judge_policy:SimpleJudgePolicy"],
        display_name: "Plain rules",
        short_description: "A model holds everything against a list of rules.",
        description: "A model is asked about the request, each text and each tool call how likely it is that a rule is \
                      broken, and what is from a threshold on is blocked. So is what gets no verdict. Written to be \
                      read: tool_call_judge and simple_llm do more.",
        category: "judges",
        badges: &["judge", "blocks"],
        schema: schema::<simple_judge::Config>,
        example: || json!({"rules": ["Never delete files outside the project."]}),
        build: simple_judge::build,
    },
    Entry {
        name: "conversation_link",
        older: &["luthien_proxy.policies.conversation_link_policy:ConversationLinkPolicy"],
        display_name: "Link to the conversation",
        short_description: "The first answer begins with a link to its live page.",
        description: "Puts a link to the page of the session in front of the first text of its first answer, where the \
                      client names its session.",
        category: "basics",
        badges: &["streams"],
        schema: schema::<conversation_link::Config>,
        example: nothing,
        build: conversation_link::build,
    },
    Entry {
        name: "onboarding",
        older: &[
            "luthien_proxy.policies.onboarding_policy:OnboardingPolicy",
            "luthien_proxy.policies.hackathon_onboarding_policy:HackathonOnboardingPolicy",
        ],
        display_name: "Welcome",
        short_description: "The first answer ends with a welcome.",
        description: "Adds a text to the first answer of a conversation, behind its texts and in front of its tool \
                      calls, that says where policies are chosen.",
        category: "basics",
        badges: &[],
        schema: schema::<onboarding::Config>,
        example: nothing,
        build: onboarding::build,
    },
    Entry {
        name: "tx_logging",
        older: &["TxLoggingPolicy"],
        display_name: "More on the record",
        short_description: "Entries of its own in the record, credentials redacted.",
        description: "Adds events to the record about the request, the texts of the answer or the caller, bounded in \
                      length, with credentials redacted. Nothing is held or changed for it.",
        category: "basics",
        badges: &["looks only"],
        schema: schema::<tx_logging::Config>,
        example: || json!({"spec": {"type": "full"}}),
        build: tx_logging::build,
    },
    Entry {
        name: "template",
        older: &[
            "luthien_proxy.policies.hackathon_policy_template:HackathonPolicy",
            "luthien_proxy.policies.sample_pydantic_policy:SamplePydanticPolicy",
        ],
        display_name: "Template",
        short_description: "Passes everything; shows the shape of a policy.",
        description: "Does nothing. Its source shows authors the shape of a policy, its configuration shows user \
                      interfaces every kind of field.",
        category: "teaching",
        badges: &[],
        schema: schema::<template::Config>,
        example: || {
            json!({"name": "mine", "threshold": 0.8, "rules": [{"type": "regex", "pattern": "a+"},
                {"type": "keyword", "keywords": ["b", "c"]}]})
        },
        build: template::build,
    },
    Entry {
        name: "demo_force_tool",
        older: &["luthien_proxy.policies.demo_force_bash_rmrf_policy:DemoForceBashRmRfPolicy"],
        display_name: "Forced tool call",
        short_description: "For demonstrations: a destructive call in every answer.",
        description: "Puts a tool call that removes a folder in place of each answer, so that the policies behind it in \
                      the chain can be seen at work. It loads only where LUTHIEN_DEMO=1 is set: with no policy behind \
                      it the agent runs the call.",
        category: "teaching",
        badges: &["dangerous"],
        schema: schema::<demo_force_tool::Config>,
        example: || json!({"target_path": "~/luthien-demo/data"}),
        build: demo_force_tool::build,
    },
];
