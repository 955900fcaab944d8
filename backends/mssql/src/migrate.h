// Migrations of a schema of SQL Server.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "errors.h"
#include "session.h"
#include "stele/driver/driver.h"
#include "stele_soci/schema_objects.h"

namespace stele::mssql {

/// What migrations/mssql holds, embedded at build time.
std::span<const driver::Migration> embedded_migrations() noexcept;

/// Calls `use`, and again when others held a lock that it wanted, a few times in all: it begins anew each time. SQL
/// Server reads its catalog under locks, so that a look at the schema meets those who change it.
template <class Use>
auto despite_lock_conflicts(Use use) {
  constexpr int max_attempts = 3;
  for (int attempt = 1;; ++attempt) {
    try {
      return use();
    } catch (const Error& error) {
      if (!is_lock_conflict(error) || error.outcome() != Outcome::not_applied || attempt == max_attempts) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10 * attempt));
  }
}

/// Empty for a database without history. Never writes.
std::vector<driver::MigrationRecord> migration_history(Session& session);

/// Runs a migration's script: its batches, one after the other. Throws migration_failed with the script's name and the
/// line.
void run_script(Session& session, std::string_view script, const std::string& name);

/// See driver::MigrationStore::apply(). Creates the schema when it is missing.
bool apply_migration(Session& session, const driver::MigrationStep& step);

/// The schema as text: tables with columns and constraints, indexes, triggers, procedures and views, each by name;
/// without the history.
std::string dump_schema(Session& session);

/// The same of any schema, by object: "trigger events_append_only on events" and its definition.
soci_backend::SchemaObjects schema_objects(Session& session, const std::string& schema);

}  // namespace stele::mssql
