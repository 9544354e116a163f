//! What the command line takes, and what it leaves to agents.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_is_serve() {
    let cli = Cli::try_parse_from(["luthien", "--config", "a.yaml"]).unwrap();
    assert!(cli.command.is_none());
    assert_eq!(cli.serve.config.as_deref(), Some(std::path::Path::new("a.yaml")));
}

#[test]
fn an_agent_gets_its_arguments_untouched() {
    for args in
        [vec!["-p", "hi"], vec!["--help"], vec!["--version"], vec!["--", "x"], vec!["exec", "--json", "-c", "a=b"]]
    {
        let line = ["luthien", "claude"].into_iter().chain(args.iter().copied());
        let cli = Cli::read(line.map(Into::into)).unwrap();
        let Some(Command::Claude(agent)) = cli.command else { panic!("{args:?} parsed as something else") };
        assert_eq!(agent.args, args);
    }
}

#[test]
fn every_command_has_an_example() {
    for command in Cli::command().get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("luthien "), "{} has no example", command.get_name());
    }
}
