//! What secrets look like. Each begins with what only that vendor writes, so that code and random text are not taken for one.

/// A name for people, and a pattern.
pub(crate) const DEFAULT: &[(&str, &str)] = &[
    ("an Anthropic key", r"\bsk-ant-[a-z]{2,8}\d{2}-[A-Za-z0-9_-]{20,}"),
    ("an OpenAI key", r"\bsk-(?:proj|svcacct|admin|service)-[A-Za-z0-9_-]{20,}"),
    ("an OpenAI key", r"\bsk-(?:[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48})\b"),
    ("an OpenRouter key", r"\bsk-or-v1-[0-9a-f]{64}\b"),
    ("an xAI key", r"\bxai-[A-Za-z0-9]{70,}\b"),
    ("a Groq key", r"\bgsk_[A-Za-z0-9]{48,}\b"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{34,}\b"),
    ("an AWS access key id", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    (
        "an AWS secret access key",
        r#"(?i:\baws_?secret_?(?:access_?)?key)\\?["']?\s*(?:[:=]|=>)\s*\\?["']?[A-Za-z0-9/+]{40}\b"#,
    ),
    ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9_]{36,}"),
    ("a GitHub token", r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"),
    ("a GitLab token", r"\bgl(?:pat|ptt|dt|rt|rtr|oas|cbt|soat|ft|imt|agent|ffct)-[A-Za-z0-9_.-]{20,}"),
    ("a Slack token", r"\bxox[abceoprs](?:\.xox[bp])?-\d[A-Za-z0-9-]{9,}"),
    ("a Slack token", r"\bxapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}"),
    ("a Slack webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]{20,}"),
    ("a Stripe key", r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,}"),
    ("a Stripe webhook secret", r"\bwhsec_[A-Za-z0-9+/]{24,}"),
    ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("a Google API key", r"\bAQ\.Ab[A-Za-z0-9_-]{40,}"),
    ("a Google OAuth secret", r"\bGOCSPX-[A-Za-z0-9_-]{28}"),
    ("a Google access token", r"\bya29\.[A-Za-z0-9_-]{20,}"),
    ("an Azure storage key", r"(?i:\bAccountKey)=[A-Za-z0-9+/]{86}=="),
    ("an Azure client secret", r"\b[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    ("an Azure key", r"\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}\b"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    ("a crates.io token", r"\bcio[A-Za-z0-9]{32}\b"),
    ("a Docker token", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("a DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    // With some of the key: the first line alone stands in many a program.
    (
        "a private key",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\+[nr]|[A-Za-z-]+: [^\n\\]*)*[A-Za-z0-9+/=]{32,}",
    ),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
];
