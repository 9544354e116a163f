//! `luthien migrate`: how the record's schema stands, and bringing it up to date apart from a start.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use luthien_record::schema;
use luthien_record::{SchemaStatus, Standing};

use crate::args::{MigrateArgs, MigrateCommand};
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::output::print;
use crate::terminal::visible_line;
use crate::when;

/// Something is still to be applied.
const PENDING: u8 = 3;

/// Runs the command.
pub(crate) async fn run(args: MigrateArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_record(&args.record)?;
    let (url, options) = (loaded.database(), loaded.database_options());
    let failed = |e: luthien_record::recorder::OpenError| Failure::new(e.to_string());
    let status = match args.command.unwrap_or(MigrateCommand::Status) {
        MigrateCommand::Status => schema::status(&url, options).await.map_err(failed)?,
        MigrateCommand::Up => {
            loaded.open_folder()?;
            Some(schema::up(&url, options).await.map_err(failed)?)
        }
    };
    let Some(status) = status else {
        print(if args.json {
            "null\n"
        } else {
            "There is no record yet; `luthien serve` and `luthien migrate up` make it.\n"
        })?;
        return Ok(ExitCode::from(PENDING));
    };
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|e| Failure::new(e.to_string()))?;
        print(&format!("{text}\n"))?;
    } else {
        print(&in_words(&status))?;
    }
    Ok(match (&status.refused, status.pending()) {
        (Some(_), _) => ExitCode::FAILURE,
        (None, true) => ExitCode::from(PENDING),
        (None, false) => ExitCode::SUCCESS,
    })
}

fn in_words(status: &SchemaStatus) -> String {
    let mut out = format!("{}\n", visible_line(&status.database));
    for migration in &status.migrations {
        let standing = match migration.standing {
            Standing::Applied => "applied",
            Standing::Pending => "pending",
            Standing::Changed => "applied in another form",
            Standing::Incomplete => "not completed",
            Standing::Missing => "not of this version",
            Standing::Newer => "newer than this version",
        };
        let at = migration.applied_at.map_or_else(|| "-".to_owned(), |at| when::second(at, &TimeZone::UTC));
        let name = visible_line(&migration.name);
        let _ = writeln!(out, "  {:>4}  {name:<20} {at:<19}  {standing}", migration.version);
    }
    if let Some(min) = status.min_migration {
        let _ = writeln!(out, "Versions that know migration {min} may start on it.");
    }
    match (&status.refused, status.pending()) {
        (Some(why), _) => {
            let _ = writeln!(out, "This version cannot use it: {why}.");
        }
        (None, true) => out.push_str("`luthien migrate up` applies what is pending.\n"),
        (None, false) => out.push_str("Nothing is pending.\n"),
    }
    out
}

#[cfg(test)]
mod tests {
    use luthien_record::MigrationStatus;

    use super::*;

    #[test]
    fn the_schema_is_told_in_words() {
        let migration = |version, standing| MigrationStatus {
            version,
            name: "record".into(),
            applied_at: "2026-01-02T03:04:05Z".parse().ok().filter(|_| standing == Standing::Applied),
            standing,
        };
        let status = SchemaStatus {
            database: "sqlite:///a.db".into(),
            migrations: vec![migration(1, Standing::Applied), migration(8, Standing::Pending)],
            min_migration: None,
            refused: None,
        };
        let expected = "sqlite:///a.db
     1  record               2026-01-02 03:04:05  applied
     8  record               -                    pending
`luthien migrate up` applies what is pending.
";
        assert_eq!(in_words(&status), expected);
    }
}
