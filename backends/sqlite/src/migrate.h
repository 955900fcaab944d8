// Migrations of an SQLite database.
#pragma once

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::sqlite {

/// What migrations/sqlite holds, embedded at build time.
std::span<const driver::Migration> embedded_migrations() noexcept;

/// Empty for a database without history. Never writes. Inside a transaction.
std::vector<driver::MigrationRecord> migration_history(Session& session);

/// See driver::MigrationStore::apply().
bool apply_migration(Session& session, const driver::MigrationStep& step);

/// The schema as text, tables first, then indexes, triggers and views, each by name; without the history and without
/// SQLite's own objects. Inside a transaction.
std::string dump_schema(Session& session);

}  // namespace stele::sqlite
