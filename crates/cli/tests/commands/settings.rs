//! The settings, the policy in force and client keys by the command line, with a gateway that runs and without one.

use serde_json::{Value, json};

use crate::support::{Home, Run, Served};

fn json(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    serde_json::from_str(&run.out).unwrap()
}

/// One setting as `config show --json` has it.
fn setting(home: &Home, name: &str) -> Value {
    json(&home.luthien(&["config", "show", name, "--json"]))["config"][0].clone()
}

#[test]
fn settings_are_shown_with_their_source_and_secrets_hidden() {
    let mut home = Home::new();
    home.write(
        "luthien.yaml",
        "limits: { rate_limit_rpm: 7 }\nupstreams: { anthropic: { base_url: 'https://api.example.com', api_key: sk-ant-hidden-0123456789 } }\n",
    );
    home.set("RATE_LIMIT_RPM", "60");
    home.set("DATABASE_URL", "postgres://u:geheim@db.invalid/x");
    let all = home.luthien(&["config", "show", "--all"]);
    assert_eq!(all.code, 0, "{}", all.err);
    for line in [
        "limits.rate_limit_rpm",
        "60",
        "environment, over file",
        "luthien.yaml",
        "none runs on this data folder",
        "upstream anthropic: messages at https://api.example.com, with a key",
    ] {
        assert!(all.out.contains(line), "{line} is not in\n{}", all.out);
    }
    for secret in ["geheim", "sk-ant-hidden"] {
        assert!(!all.out.contains(secret) && !all.err.contains(secret), "{secret} is in\n{}{}", all.out, all.err);
    }
    let some = home.luthien(&["config", "show"]);
    assert!(
        !some.out.contains("limits.max_messages") && some.out.contains("others have their defaults"),
        "{}",
        some.out
    );
    let rpm = setting(&home, "RATE_LIMIT_RPM");
    assert_eq!((&rpm["name"], &rpm["value"], &rpm["source"]), (&json!("rate_limit_rpm"), &json!(60), &json!("env")));
    assert_eq!(rpm["overrides"], json!(["file"]));
    let key = setting(&home, "anthropic_api_key");
    assert_eq!((&key["value"], &key["secret"]), (&json!("***"), &json!(true)));
    let unknown = home.luthien(&["config", "show", "rate_limit_rpn"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("did you mean `rate_limit_rpm`?"), "{}", unknown.err);
}

#[test]
fn everything_wrong_is_said_at_once_with_a_suggestion() {
    let home = Home::new();
    home.write("bad.yaml", "server: { prot: 9 }\nlimits: { max_messages: many }\nserverr: {}\n");
    let run = home.luthien(&["config", "check", "bad.yaml"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    for part in
        ["3 problems", "bad.yaml: server.prot", "did you mean `port`?", "limits.max_messages", "did you mean `server`?"]
    {
        assert!(run.out.contains(part), "{part} is not in\n{}", run.out);
    }
    let run = home.luthien(&["config", "check", "bad.yaml", "--json"]);
    let said: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &said["ok"], said["problems"].as_array().unwrap().len()), (1, &json!(false), 3));

    home.write("policy.yaml", "policy: { class: tool_call_judge, config: { probability_threshold: 7 } }\n");
    let run = home.luthien(&["config", "check", "policy.yaml"]);
    assert!(run.code == 1 && run.out.contains("probability_threshold"), "{run:?}");
    assert_eq!(home.luthien(&["config", "check", "nowhere.yaml"]).code, 1);

    home.write("luthien.yaml", "policy: { class: guard }\n");
    let run = home.luthien(&["config", "check"]);
    assert!(run.code == 0 && run.out.starts_with("The settings are fine"), "{run:?}");
}

#[test]
fn a_live_setting_is_changed_and_taken_back_in_the_gateway_that_runs() {
    let home = Home::new();
    let none = home.luthien(&["config", "set", "rate_limit_rpm", "60"]);
    assert!(none.code == 1 && none.err.contains("no gateway runs"), "{none:?}");
    home.write("luthien.yaml", "limits: { max_messages: 100 }\n");
    let served = Served::start(&home, &[]);
    let set = home.luthien(&["config", "set", "rate_limit_rpm", "60"]);
    assert_eq!((set.code, set.out.as_str()), (0, "rate_limit_rpm is 60 (set while running)\n"), "{}", set.err);
    assert_eq!(setting(&home, "rate_limit_rpm")["source"], "db");
    let bad = home.luthien(&["config", "set", "rate_limit_rpm", "-1"]);
    assert!(bad.code == 1 && bad.err.contains("-1"), "{bad:?}");
    let fixed = home.luthien(&["config", "set", "max_messages", "5"]);
    assert!(fixed.code == 1 && fixed.err.contains("limits: { max_messages: … }"), "{fixed:?}");

    // What the file says now counts after a restart.
    home.write("luthien.yaml", "limits: { max_messages: 200 }\n");
    let messages = setting(&home, "max_messages");
    assert_eq!((&messages["value"], &messages["after_restart"]["value"]), (&json!(100), &json!(200)));
    let shown = home.luthien(&["config", "show"]).out;
    assert!(shown.contains("after a restart: 200 (file)") && shown.contains(&served.base), "{shown}");

    assert_eq!(served.stop(), 0);
    // Kept in the database, and shown without a gateway.
    assert_eq!(setting(&home, "rate_limit_rpm")["value"], 60);
    let _served = Served::start(&home, &[]);
    let unset = home.luthien(&["config", "unset", "rate_limit_rpm", "--json"]);
    assert_eq!(json(&unset)["value"], 0);
}

#[test]
fn a_policy_is_set_shown_and_rolled_back() {
    let home = Home::new();
    let none = home.luthien(&["policy", "set", "guard"]);
    assert!(none.code == 1 && none.err.contains("luthien up"), "{none:?}");
    let served = Served::start(&home, &[]);

    let dry = home.luthien(&["policy", "set", "all_caps", "--dry-run"]);
    assert!(dry.code == 0 && dry.out.contains("nothing was changed"), "{dry:?}");
    let list = home.luthien(&["policy", "list"]).out;
    assert!(list.contains(&format!("In force at {}: no_op (version 0", served.base)), "{list}");

    home.write(
        "replace.yaml",
        "policy:\n  class: string_replacement\n  config: { replacements: [[a, b]] }\n  source: file\n",
    );
    let set = home.luthien(&["policy", "set", "replace.yaml"]);
    assert_eq!(set.code, 0, "{}", set.err);
    assert!(
        set.out.contains("string_replacement") && set.out.contains("no_op"),
        "no difference is shown:\n{}",
        set.out
    );
    let set = home.luthien(&["policy", "set", "all_caps", "--mode", "shadow", "--json"]);
    let said = json(&set);
    assert_eq!(
        (&said["before"]["class_ref"], &said["after"]["mode"]),
        (&json!("string_replacement"), &json!("shadow"))
    );
    let shown = json(&home.luthien(&["policy", "show", "--json"]));
    assert_eq!((&shown["class_ref"], &shown["gateway"]), (&json!("all_caps"), &json!(served.base)));

    let history = home.luthien(&["policy", "history"]).out;
    assert!(history.contains("all_caps") && history.contains("by luthien policy  shadow"), "{history}");
    let back = home.luthien(&["policy", "rollback", "1"]);
    assert_eq!(back.code, 0, "{}", back.err);
    let shown = home.luthien(&["policy", "show"]).out;
    assert!(shown.contains("class: string_replacement") && shown.contains("- b"), "{shown}");
    let unknown = home.luthien(&["policy", "rollback", "99"]);
    assert!(unknown.code == 1 && unknown.err.contains("no version 99"), "{unknown:?}");
}

#[test]
fn a_policy_that_does_not_load_changes_nothing() {
    let home = Home::new();
    let wrong = ["tool_call_judge", "--config", "{\"probability_threshold\": 7}"];
    let validate = |home: &Home| home.luthien(&[&["policy", "validate"][..], &wrong].concat());
    let here = validate(&home);
    assert!(here.code == 1 && here.err.contains("probability_threshold"), "{here:?}");
    let _served = Served::start(&home, &[]);
    for run in [validate(&home), home.luthien(&[&["policy", "set"][..], &wrong].concat())] {
        assert!(
            run.code == 1 && run.err.contains("config.probability_threshold")
                || run.err.contains("probability_threshold"),
            "{run:?}"
        );
    }
    assert_eq!(json(&home.luthien(&["policy", "show", "--json"]))["class_ref"], "no_op");
    let fine = home.luthien(&["policy", "validate", "guard"]);
    assert_eq!((fine.code, fine.out.as_str()), (0, "The policy is fine: the gateway that runs would load it.\n"));
    let none = home.luthien(&["policy", "set", "gaurd"]);
    assert!(none.code == 1 && none.err.contains("did you mean `guard`?"), "{none:?}");
}

#[test]
fn a_key_is_made_once_shown_and_revoked() {
    let home = Home::new();
    let _served = Served::start(&home, &[]);
    let quiet = home.luthien(&["keys", "create", "ann", "--quiet", "--for", "720h", "--requests-per-minute", "60"]);
    assert_eq!(quiet.code, 0, "{}", quiet.err);
    let key = quiet.out.trim_end();
    assert!(key.starts_with("lth-") && quiet.out == format!("{key}\n") && key.len() == 68, "{}", quiet.out);
    let made = json(&home.luthien(&["keys", "create", "ci", "--policy", "all_caps", "--json"]));
    assert!(made["api_key"].as_str().unwrap().starts_with("lth-"));

    let listed = home.luthien(&["keys", "list"]).out;
    assert!(listed.contains("ann") && listed.contains("requests per minute 60") && !listed.contains(key), "{listed}");
    let shown = home.luthien(&["keys", "show", "ann"]);
    assert!(shown.code == 0 && shown.out.contains("active") && !shown.out.contains(key), "{shown:?}");
    let revoked = home.luthien(&["keys", "revoke", "ann"]);
    assert!(revoked.code == 0 && revoked.out.contains("lets nobody in"), "{revoked:?}");
    let left = json(&home.luthien(&["keys", "list", "--json"]));
    assert_eq!((&left["count"], &left["client_keys"][0]["name"]), (&json!(1), &json!("ci")));
    assert_eq!(json(&home.luthien(&["keys", "list", "--all", "--json"]))["count"], 2);
    let unknown = home.luthien(&["keys", "show", "zoe"]);
    assert!(unknown.code == 1 && unknown.err.contains("there is no key zoe"), "{unknown:?}");
    let wrong = home.luthien(&["keys", "create", "x", "--limit", "burst"]);
    assert!(wrong.code == 1 && wrong.err.contains("NAME=NUMBER"), "{wrong:?}");
}
