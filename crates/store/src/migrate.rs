//! Embedded migrations: the same numbers and names on every backend.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::StoreError;

/// A step of the schema: its number, its name, its SQL. A step that was released is never changed; another is added.
pub(crate) type Step = (i64, &'static str, &'static str);

/// All steps of one backend, as sqlx runs them.
pub(crate) fn migrator(steps: &[Step]) -> Migrator {
    let migration = |&(number, name, sql): &Step| {
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

/// Sorts what a migration says.
pub(crate) fn sort(error: &MigrateError, passes: fn(&dyn DatabaseError) -> bool) -> StoreError {
    match error {
        MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) => StoreError::sort(inner, passes),
        MigrateError::VersionMissing(number) => StoreError::Failed(format!(
            "its schema was made by a newer program (step {number} is not known here); upgrade this program"
        )),
        other => StoreError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{postgres, sqlite};

    #[test]
    fn both_backends_take_the_same_steps_in_order() {
        let names = |steps: &[super::Step]| steps.iter().map(|&(number, name, _)| (number, name)).collect::<Vec<_>>();
        assert_eq!(names(sqlite::STEPS), names(postgres::STEPS));
        assert!(sqlite::STEPS.iter().zip(1..).all(|(step, number)| step.0 == number));
    }
}
