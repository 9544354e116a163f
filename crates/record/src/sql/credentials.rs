//! The gateway's own credentials, sealed, and the providers that judges are asked at.

use jiff::Timestamp;

use super::{Query, Row, Sql};

/// A credential's row.
#[derive(Clone, Debug)]
pub(crate) struct CredentialRow {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) platform_url: Option<String>,
    pub(crate) credential_type: String,
    pub(crate) key_id: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) made: Made,
}

/// A provider's row.
#[derive(Clone, Debug)]
pub(crate) struct ProviderRow {
    pub(crate) name: String,
    pub(crate) backend_type: String,
    pub(crate) credential_name: Option<String>,
    pub(crate) default_model: Option<String>,
    pub(crate) config: String,
    pub(crate) made: Made,
}

/// When something was made and changed last, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) updated_at: Timestamp,
    pub(crate) updated_by: String,
}

fn made(row: &Row, first: usize) -> Result<Made, sqlx::Error> {
    Ok(Made {
        created_at: row.get(first)?,
        created_by: row.get(first + 1)?,
        updated_at: row.get(first + 2)?,
        updated_by: row.get(first + 3)?,
    })
}

/// All credentials, by name.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<CredentialRow>, sqlx::Error> {
    let query = Query::new(
        "SELECT name, platform, platform_url, credential_type, key_id, sealed, created_at, created_by, updated_at, updated_by
        FROM sealed_credentials ORDER BY name",
    );
    let read = |row: &Row| {
        Ok(CredentialRow {
            name: row.get(0)?,
            platform: row.get(1)?,
            platform_url: row.get(2)?,
            credential_type: row.get(3)?,
            key_id: row.get(4)?,
            sealed: row.get(5)?,
            made: made(row, 6)?,
        })
    };
    sql.all(query).await?.iter().map(read).collect()
}

/// Whether there is a credential of this name.
pub(crate) async fn has(sql: &mut Sql<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let query = Query::new("SELECT COUNT(*) FROM sealed_credentials WHERE name = ?").bind(name);
    Ok(sql.number(query).await? > 0)
}

/// Keeps a credential, in place of the one of its name; who made that one stays.
pub(crate) async fn set(sql: &mut Sql<'_>, row: CredentialRow) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO sealed_credentials
        (name, platform, platform_url, credential_type, key_id, sealed, created_at, created_by, updated_at, updated_by)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET platform = excluded.platform, platform_url = excluded.platform_url,
            credential_type = excluded.credential_type, key_id = excluded.key_id, sealed = excluded.sealed,
            updated_at = excluded.updated_at, updated_by = excluded.updated_by",
    );
    let query = query.bind(row.name).bind(row.platform).bind(row.platform_url).bind(row.credential_type);
    let (query, made) = (query.bind(row.key_id).bind(row.sealed), row.made);
    let query = query.bind(made.created_at).bind(made.created_by).bind(made.updated_at).bind(made.updated_by);
    sql.run(query).await?;
    Ok(())
}

/// Puts what another key has sealed in place of what was.
pub(crate) async fn reseal(sql: &mut Sql<'_>, name: &str, key_id: String, sealed: Vec<u8>) -> Result<(), sqlx::Error> {
    let query = Query::new("UPDATE sealed_credentials SET key_id = ?, sealed = ? WHERE name = ?");
    sql.run(query.bind(key_id).bind(sealed).bind(name)).await?;
    Ok(())
}

/// Removes a credential; says whether it was there.
pub(crate) async fn remove(sql: &mut Sql<'_>, name: &str) -> Result<bool, sqlx::Error> {
    Ok(sql.run(Query::new("DELETE FROM sealed_credentials WHERE name = ?").bind(name)).await? > 0)
}

/// All providers, by name.
pub(crate) async fn providers(sql: &mut Sql<'_>) -> Result<Vec<ProviderRow>, sqlx::Error> {
    let query = Query::new(
        "SELECT name, backend_type, credential_name, default_model, config, created_at, created_by, updated_at, updated_by
        FROM judge_providers ORDER BY name",
    );
    let read = |row: &Row| {
        Ok(ProviderRow {
            name: row.get(0)?,
            backend_type: row.get(1)?,
            credential_name: row.get(2)?,
            default_model: row.get(3)?,
            config: row.get(4)?,
            made: made(row, 5)?,
        })
    };
    sql.all(query).await?.iter().map(read).collect()
}

/// Keeps a provider, in place of the one of its name; who made that one stays.
pub(crate) async fn set_provider(sql: &mut Sql<'_>, row: ProviderRow) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO judge_providers
        (name, backend_type, credential_name, default_model, config, created_at, created_by, updated_at, updated_by)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET backend_type = excluded.backend_type, credential_name = excluded.credential_name,
            default_model = excluded.default_model, config = excluded.config, updated_at = excluded.updated_at,
            updated_by = excluded.updated_by",
    );
    let query = query.bind(row.name).bind(row.backend_type).bind(row.credential_name).bind(row.default_model);
    let (query, made) = (query.bind(row.config), row.made);
    let query = query.bind(made.created_at).bind(made.created_by).bind(made.updated_at).bind(made.updated_by);
    sql.run(query).await?;
    Ok(())
}

/// Removes a provider; says whether it was there.
pub(crate) async fn remove_provider(sql: &mut Sql<'_>, name: &str) -> Result<bool, sqlx::Error> {
    Ok(sql.run(Query::new("DELETE FROM judge_providers WHERE name = ?").bind(name)).await? > 0)
}
