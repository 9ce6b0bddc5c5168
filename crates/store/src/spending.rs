//! What calls cost, by who caused them: what budgets are rebuilt from after a restart.

use sqlx::QueryBuilder;
use tachograph_record::{KeyId, Money, OrgId, Timestamp};

use crate::StoreError;
use crate::sql::Dialect;
use crate::tables::Source;

/// Calls are taken together by the quarter of an hour: every time zone's midnight lies between two.
const QUARTER_US: i64 = 900_000_000;

/// What the calls of one kind cost in a quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// The tenant.
    pub org: OrgId,
    /// The key.
    pub key: Option<KeyId>,
    /// The user.
    pub user: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Their properties.
    pub properties: Vec<(String, String)>,
    /// The quarter's first moment.
    pub at: Timestamp,
    /// What they cost in all, as far as it is known.
    pub cost: Money,
}

pub(crate) fn statement<D: Dialect>(since: Timestamp) -> QueryBuilder<D> {
    const GROUP: &str = "r.org_id, r.key_id, r.user_id, r.requested_model, r.properties, r.received_at / 900000000";
    let mut sql = QueryBuilder::new(
        "SELECT r.org_id, r.key_id, r.user_id, r.requested_model, CAST(r.properties AS TEXT) AS properties, \
         r.received_at / 900000000 AS quarter",
    );
    for column in ["cost_nano", "cost_rest"] {
        sql.push(format_args!(
            ", CAST(COALESCE(SUM(r.{column} >> 32), 0) AS BIGINT) AS {column}_high, \
             CAST(COALESCE(SUM(r.{column} & 4294967295), 0) AS BIGINT) AS {column}_low"
        ));
    }
    sql.push(" FROM requests r WHERE r.cost_nano IS NOT NULL AND r.received_at >= ");
    D::bind_int(&mut sql, since.micros().div_euclid(QUARTER_US) * QUARTER_US);
    sql.push(" GROUP BY ").push(GROUP);
    sql
}

pub(crate) fn read(source: &impl Source) -> Result<Spending, StoreError> {
    let sum = |column: &str| -> Result<i128, StoreError> {
        let half = |which: &str| source.some_int(&format!("{column}_{which}")).map(i128::from);
        Ok((half("high")? << 32) + half("low")?)
    };
    let properties: serde_json::Map<String, serde_json::Value> = match source.text("properties")? {
        Some(text) => serde_json::from_str(&text).map_err(|why| StoreError::unreadable("properties", why))?,
        None => serde_json::Map::new(),
    };
    let cost = Money::from_columns(sum("cost_nano")?, sum("cost_rest")?);
    let properties = properties.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    Ok(Spending {
        org: source.some_id("org_id")?.into(),
        key: source.id("key_id")?.map(KeyId::from),
        user: source.text("user_id")?,
        model: source.text("requested_model")?,
        properties: properties.collect(),
        at: Timestamp::from_micros(source.some_int("quarter")? * QUARTER_US),
        cost: cost.ok_or_else(|| StoreError::Failed("the sum of costs is beyond 1.7e20 USD".into()))?,
    })
}
