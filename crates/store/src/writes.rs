//! What is written beside rows in their transaction, the same in every database.

use tachograph_record::{OrgId, Timestamp};
use uuid::Uuid;

use crate::repricing::NewCost;
use crate::rollup::{self, Fact, FactBlocks, Session};
use crate::sql::rollups;
use crate::tables::{CostColumns, Source as _};
use crate::{Expired, Repricing, StoreError, join, sql};

/// Sees the rows of traces together: which of them stop counting. What that makes of the sums is added to `facts`.
pub(crate) async fn join_traces<S: Session>(
    session: &mut S,
    traces: Vec<(Uuid, Vec<String>)>,
    facts: &mut FactBlocks,
) -> Result<(), StoreError> {
    for (org, traces) in traces {
        let rows = session.all(join::members(org, &traces)).await?;
        let members = rows.iter().map(join::Member::read).collect::<Result<Vec<_>, _>>()?;
        for (id, control) in join::joined(&members) {
            for row in session.all(rollups::fact(org, id.uuid())).await? {
                let before = Fact::read(&row)?;
                facts.correct(org, &before, &before.not_counting());
            }
            session.run(join::stop_counting(org, id, &control)?).await?;
        }
    }
    Ok(())
}

/// Writes facts.
pub(crate) async fn write_facts<S: Session>(session: &mut S, facts: FactBlocks) -> Result<(), StoreError> {
    for statement in rollups::insert(facts.finish()) {
        session.run(statement).await?;
    }
    Ok(())
}

/// Gives rows other costs. Returns how many were changed.
pub(crate) async fn change_costs<S: Session>(
    session: &mut S,
    audit: &Repricing,
    costs: &[NewCost],
) -> Result<u64, StoreError> {
    let (mut changed, mut facts, mut dirty) = (0, FactBlocks::default(), Vec::new());
    for NewCost { id, cost } in costs {
        let org = audit.org.uuid();
        let columns = CostColumns::of(cost);
        for row in session.all(rollups::fact(org, id.uuid())).await? {
            let before = Fact::read(&row)?;
            match before.with_cost(&columns) {
                Some(after) => facts.correct(org, &before, &after),
                None => dirty.push(before.measured.received_at),
            }
        }
        session.run(sql::keep_former_cost(audit.org, *id, audit.id)).await?;
        changed += session.run(sql::change_cost(audit.org, *id, cost)?).await?;
    }
    mark_dirty(session, audit.org.uuid(), dirty).await?;
    write_facts(session, facts).await?;
    Ok(changed)
}

/// Marks the hours of moments as dirty.
pub(crate) async fn mark_dirty<S: Session>(
    session: &mut S,
    org: Uuid,
    moments: impl IntoIterator<Item = i64>,
) -> Result<(), StoreError> {
    for hours in rollup::hours_of(moments).chunks(500) {
        session.run(rollups::mark_dirty(org, hours)).await?;
    }
    Ok(())
}

/// Deletes a batch of an organisation's rows that were received before a moment, with all that stands beside them.
pub(crate) async fn delete_rows<S: Session>(
    session: &mut S,
    org: OrgId,
    before: Timestamp,
) -> Result<Expired, StoreError> {
    let mut done = Expired::default();
    let rows = session.all(sql::old_rows(org.uuid(), before)).await?;
    if rows.is_empty() {
        return Ok(done);
    }
    let ids = sql::read_ids(&rows)?;
    let moments = rows.iter().map(|row| row.some_int("received_at")).collect::<Result<Vec<_>, _>>()?;
    for table in sql::OF_A_ROW {
        let gone = session.run(sql::delete(table, org.uuid(), &ids)).await?;
        done.rows += if table == "requests" { gone } else { 0 };
    }
    mark_dirty(session, org.uuid(), moments).await?;
    Ok(done)
}
