#include "verify.h"

#include "migrate.h"
#include "stele_soci/storage_checks.h"

namespace stele::sqlite {
namespace {

using soci_backend::check_rows;
using soci_backend::compare_schema;
using soci_backend::Findings;
using soci_backend::guarded;
using soci_backend::RowCheck;
using soci_backend::SchemaObjects;
namespace rules = soci_backend::rules;

constexpr RowCheck checks[] = {
    {{"G10", "recorded times never fall from position to position", "was recorded before the event in front of it"},
     "SELECT 'position ' || global_position FROM (SELECT global_position, recorded_at, "
     "lag(recorded_at) OVER (ORDER BY global_position) AS before FROM events) WHERE recorded_at < before"},
    {rules::tenant_and_type,
     "SELECT 'position ' || e.global_position FROM events AS e JOIN streams AS s ON s.stream_no = e.stream_no "
     "WHERE e.tenant_no <> s.tenant_no OR e.stream_type_no <> s.stream_type_no"},
    {rules::stream_of_event,
     "SELECT 'position ' || e.global_position FROM events AS e "
     "WHERE NOT EXISTS (SELECT 1 FROM streams AS s WHERE s.stream_no = e.stream_no)"},
    {rules::head_of_stream,
     "SELECT 'stream ' || s.stream_no FROM streams AS s WHERE s.version IS NOT "
     "(SELECT max(e.stream_version) FROM events AS e WHERE e.stream_no = s.stream_no) "
     "OR s.version <> (SELECT count(*) FROM events AS e WHERE e.stream_no = s.stream_no)"},
    {rules::attributes_of_event,
     "SELECT 'position ' || e.global_position FROM events AS e WHERE e.attribute_count <> "
     "(SELECT count(*) FROM event_attributes AS a WHERE a.global_position = e.global_position)"},
    {rules::event_of_attribute,
     "SELECT 'position ' || a.global_position FROM event_attributes AS a "
     "WHERE NOT EXISTS (SELECT 1 FROM events AS e WHERE e.global_position = a.global_position)"},
    {rules::events_of_command,
     "SELECT 'command ' || c.command_no FROM commands AS c LEFT JOIN (SELECT command_no, count(*) AS events FROM "
     "events "
     "WHERE command_no IS NOT NULL GROUP BY command_no) AS n ON n.command_no = c.command_no "
     "WHERE (SELECT coalesce(sum(json_extract(o.value, '$.last_version') - json_extract(o.value, '$.first_version') + "
     "1), 0) "
     "FROM json_each(c.outcome) AS o) <> coalesce(n.events, 0)"},
    {rules::given_positions,
     "SELECT 'position ' || max(global_position) FROM events "
     "HAVING max(global_position) > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"},
};

void check_file(Session& session, Findings& findings) {
  findings.note("the database file is sound (PRAGMA integrity_check)");
  {
    const Use query = session.use("PRAGMA integrity_check(20)");
    while (query->step()) {
      if (query->text(0) != "ok") findings.add("storage", "database file", std::string(query->text(0)));
    }
  }
  findings.note("every reference has its row (PRAGMA foreign_key_check)");
  const Use query = session.use("PRAGMA foreign_key_check");
  while (query->step()) {
    findings.add("storage", "table " + std::string(query->text(0)) + ", row " + std::to_string(query->int64(1)),
                 "refers to a row of " + std::string(query->text(2)) + " that is missing");
  }
}

/// Name → definition of every table, index, trigger and view.
SchemaObjects objects(Session& session) {
  SchemaObjects found;
  const Use query = session.use("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL");
  while (query->step()) found.emplace(query->text(0), query->text(1));
  return found;
}

void check_schema(Session& session, Findings& findings) {
  findings.note("tables, indexes, triggers and views are as migrated (G8, G9)");
  Settings in_memory;
  Session fresh(in_memory, Role::writer);
  for (const driver::Migration& migration : embedded_migrations()) {
    run_script(fresh.handle(), migration.up, "the schema to compare with");
  }
  const auto actual = objects(session);
  const auto expected = objects(fresh);
  compare_schema(findings, actual, expected);
}

}  // namespace

void verify_storage(Session& session, const VerifyOptions& options, VerifyReport& report) {
  Findings findings(options, report);
  guarded(findings, "database file", [&] { check_file(session, findings); });
  guarded(findings, "schema", [&] { check_schema(session, findings); });
  check_rows(findings, checks, [&](std::string_view sql, const auto& row) {
    const Use query = session.use(sql);
    while (query->step() && row(query->text(0))) {
    }
  });
}

}  // namespace stele::sqlite
