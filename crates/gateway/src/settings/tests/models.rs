//! The rules for models as the file has them, and upstreams without a key.

use std::path::Path;

use luthien_wire::Dialect;
use rstest::rstest;

use super::{problems, sources};
use crate::config::{ModelPattern, ModelRoute, RouteTarget};
use crate::settings::Settings;

const LOCAL: &str = "upstreams: { local: { dialect: chat, base_url: http://127.0.0.1:9000/v1, auth: none } }\n";

fn load(models: &str) -> Vec<ModelRoute> {
    let (sources, _folder) = sources(&format!("{LOCAL}models:\n{models}"));
    Settings::load(&sources).unwrap().models
}

fn target(upstream: &str, rename: Option<&str>) -> RouteTarget {
    RouteTarget { upstream: upstream.to_owned(), rename: rename.map(str::to_owned) }
}

#[test]
fn rules_stand_in_their_order_and_each_upstream_has_its_own_name_for_the_model() {
    let models = load(
        "  - { match: \"local/*\", upstream: local, rename: \"*\" }\n  \
         - { match: fast, upstream: local, rename: qwen, fallbacks: [openai, { upstream: anthropic, rename: haiku }] }\n  \
         - { match: \"*\", upstream: anthropic }",
    );
    let patterns: Vec<String> = models.iter().map(|route| route.pattern.to_string()).collect();
    assert_eq!(patterns, ["local/*", "fast", "*"]);
    assert_eq!(models[0].targets, [target("local", Some("*"))]);
    let all = [target("local", Some("qwen")), target("openai", None), target("anthropic", Some("haiku"))];
    assert_eq!(models[1].targets, all);
    assert_eq!(models[2].pattern, ModelPattern::parse("*").unwrap());
    assert_eq!(load(""), []);
}

#[rstest]
#[case(
    "  - { match: a, upstream: locl }",
    "luthien.yaml: models[0].upstream: there is no upstream `locl`; did you mean `local`?"
)]
#[case(
    "  - { match: a, upstream: x1 }",
    "models[0].upstream: there is no upstream `x1`; there are anthropic, openai, local"
)]
#[case(
    "  - { match: a, upstream: local, fallbacks: [opena] }",
    "models[0].fallbacks[0]: there is no upstream `opena`; did you"
)]
#[case(
    "  - { match: a, upstream: local, fallbacks: [{ upstream: opena }] }",
    "models[0].fallbacks[0].upstream: there is no upstream `opena`"
)]
#[case(
    "  - { match: a, upstream: local, fallbacks: [local] }",
    "models[0].fallbacks[0]: `local` with this model stands before"
)]
#[case("  - { match: a, upstream: local, fallbacks: [7] }", "models[0].fallbacks[0]: expected an upstream's name")]
#[case("  - { match: a, upstream: local, fallback: openai }", "models[0].fallback: unknown field `fallback`")]
#[case("  - { match: a, upstream: local, rename: \"*\" }", "models[0].rename: its `*` stands for nothing")]
#[case("  - { match: \"a*\", upstream: local, rename: \"*/*\" }", "models[0].rename: only one `*`")]
#[case("  - { match: \"a*\", upstream: local, rename: \"\" }", "models[0].rename: expected a model's name")]
#[case(
    "  - { match: \"a*\", upstream: local, fallbacks: [{ upstream: openai, rename: \"**\" }] }",
    "models[0].fallbacks[0].rename: only one `*`"
)]
#[case("  - { match: \"a*b*\", upstream: local }", "models[0].match: only one `*` can stand in a pattern")]
#[case("  - { upstream: local }", "models[0]: missing field `match`")]
#[case("  - local", "models[0]: expected a rule")]
#[case("  a: local", "models: must be a list of rules")]
#[case(
    "  - { match: \"a*\", upstream: local }\n  - { match: b, upstream: local }\n  - { match: a1, upstream: openai }",
    "models[2].match: never reached: the rule [0] before it (`a*`) takes all of `a1`"
)]
fn a_rule_that_cannot_work_is_named_with_its_place(#[case] models: &str, #[case] expected: &str) {
    let (sources, _folder) = sources(&format!("{LOCAL}models:\n{models}"));
    let told = problems(&sources);
    assert!(told.contains(expected), "{told}");
}

#[test]
fn an_upstream_that_only_rules_reach_says_with_which_key_or_that_it_needs_none() {
    let with = |auth: &str| {
        let yaml = format!(
            "upstreams: {{ local: {{ dialect: chat, base_url: http://127.0.0.1:9000/v1 {auth} }} }}\n\
             models: [{{ match: a, upstream: local }}, {{ match: b, upstream: anthropic }}]"
        );
        let (sources, _folder) = sources(&yaml);
        Settings::load(&sources).map(|settings| settings.upstreams[2].keyless).map_err(|error| error.to_string())
    };
    let told = with("").unwrap_err();
    assert!(told.contains("models[0].upstream: a caller's own key never goes to `local`"), "{told}");
    assert!(told.contains("`upstreams.local.auth: none`") && told.contains("1 problem"), "{told}");
    assert_eq!(with(", api_key: k"), Ok(false));
    assert_eq!(with(", auth: none"), Ok(true));
    let told = with(", api_key: canary, auth: none").unwrap_err();
    assert!(told.contains("upstreams.local.auth: `none` is said") && !told.contains("canary"), "{told}");
    let told = with(", auth: bearer").unwrap_err();
    assert!(told.contains("upstreams.local.auth: unknown variant `bearer`, expected `none`"), "{told}");
}

#[test]
fn a_default_upstream_can_be_switched_off_or_speak_less() {
    let (some, _folder) = sources(
        "upstreams: { anthropic: false, openai: false, local: { dialect: chat, base_url: http://127.0.0.1:9000 } }\n\
         models: [{ match: a, upstream: local }]",
    );
    let settings = Settings::load(&some).unwrap();
    let names: Vec<_> = settings.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!(names, ["local"]);
    let (part, _folder) = sources("upstreams: { openai: { dialect: chat } }");
    assert_eq!(Settings::load(&part).unwrap().upstreams[1].dialects, [Dialect::Chat]);
    let (none, _folder) = sources("upstreams: { anthropic: false, openai: false }");
    assert!(problems(&none).contains("upstreams: none is left"));
}

#[rstest]
#[case("docs/routing.md", 4)]
#[case("docs/settings.md", 3)]
fn what_the_documents_show_can_be_loaded(#[case] file: &str, #[case] examples: usize) {
    let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), examples);
    // The reference shows upstreams and rules one after the other.
    let (apart, together): (Vec<&str>, String) = match file {
        "docs/settings.md" => (vec![blocks[2]], blocks[..2].concat()),
        _ => (blocks, String::new()),
    };
    for yaml in apart.into_iter().chain([together.as_str()]) {
        let (mut sources, _folder) = sources(yaml);
        for key in ["FAR_KEY", "LOCAL_KEY", "ANTHROPIC_API_KEY"] {
            sources.environment.insert(key.to_owned(), "sk-something".to_owned());
        }
        assert!(Settings::load(&sources).is_ok(), "{yaml}\n{}", problems(&sources));
    }
}
