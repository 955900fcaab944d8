#include "migrate.h"

#include "stele_soci/migration_step.h"

namespace stele::sqlite {
namespace {

constexpr std::string_view create_history =
    "CREATE TABLE IF NOT EXISTS stele_migrations (\n"
    "    entry_no   INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "    number     INTEGER NOT NULL,\n"
    "    title      TEXT NOT NULL,\n"
    "    checksum   TEXT NOT NULL,\n"
    "    direction  TEXT NOT NULL CHECK (direction = 'up' OR direction = 'down'),\n"
    "    applied_at INTEGER NOT NULL\n"
    ") STRICT";

}  // namespace

std::vector<driver::MigrationRecord> migration_history(Session& session) {
  std::vector<driver::MigrationRecord> history;
  {
    const Use table = session.use("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'stele_migrations'");
    if (!table->step()) return history;
  }
  const Use query =
      session.use("SELECT number, title, checksum, direction, applied_at FROM stele_migrations ORDER BY entry_no");
  while (query->step()) {
    history.push_back({.number = static_cast<int>(query->int64(0)),
                       .title = std::string(query->text(1)),
                       .checksum = std::string(query->text(2)),
                       .up = query->text(3) == soci_backend::direction_name(true),
                       .applied_at = query->time(4)});
  }
  return history;
}

bool apply_migration(Session& session, const driver::MigrationStep& step) {
  session.restart_deadline();
  // The write lock is held by one process at a time, and what is read under it cannot change before the commit.
  Transaction transaction(session, Transaction::Kind::write);
  if (driver::current_migration(migration_history(session)) != step.current) return false;
  const soci_backend::MigrationScript script = soci_backend::script_of(step);
  run_script(session.handle(), script.text, script.name);
  session.use(create_history)->run();
  const driver::MigrationRecord row = soci_backend::history_row(step);
  const Use insert = session.use(
      "INSERT INTO stele_migrations (number, title, checksum, direction, applied_at) VALUES (?1, ?2, ?3, ?4, ?5)");
  insert->bind(1, std::int64_t{row.number});
  insert->bind(2, row.title);
  insert->bind(3, row.checksum);
  insert->bind(4, soci_backend::direction_name(row.up));
  insert->bind(5, Timestamp::now());
  insert->step();
  insert->reset();
  transaction.commit();
  return true;
}

std::string dump_schema(Session& session) {
  std::string dump;
  const Use query = session.use(
      "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_' "
      "AND name <> 'stele_migrations' "
      "ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 WHEN 'trigger' THEN 3 ELSE 4 END, name");
  while (query->step()) {
    if (!dump.empty()) dump += '\n';
    dump += query->text(0);
    dump += ";\n";
  }
  return dump;
}

}  // namespace stele::sqlite
