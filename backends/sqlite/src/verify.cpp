#include "verify.h"

#include <map>

#include "migrate.h"
#include "stele/error.h"

namespace stele::sqlite {
namespace {

/// A query that gives a row for each fault, with a text that says where.
struct Check {
  std::string_view guarantee;
  std::string_view holds;  // What is true when the query has no row.
  std::string_view fault;  // What is wrong when it has one.
  std::string_view sql;
};

constexpr Check checks[] = {
    {"G10", "recorded times never fall from position to position", "was recorded before the event in front of it",
     "SELECT 'position ' || global_position FROM (SELECT global_position, recorded_at, "
     "lag(recorded_at) OVER (ORDER BY global_position) AS before FROM events) WHERE recorded_at < before"},
    {"G1", "every event has its stream's tenant and type", "has another tenant or type than its stream",
     "SELECT 'position ' || e.global_position FROM events AS e JOIN streams AS s ON s.stream_no = e.stream_no "
     "WHERE e.tenant_no <> s.tenant_no OR e.stream_type_no <> s.stream_type_no"},
    {"G2", "every event belongs to a stream", "belongs to no stream",
     "SELECT 'position ' || e.global_position FROM events AS e "
     "WHERE NOT EXISTS (SELECT 1 FROM streams AS s WHERE s.stream_no = e.stream_no)"},
    {"G2", "every stream's head is its last event", "has a head that is not its last event",
     "SELECT 'stream ' || s.stream_no FROM streams AS s WHERE s.version IS NOT "
     "(SELECT max(e.stream_version) FROM events AS e WHERE e.stream_no = s.stream_no) "
     "OR s.version <> (SELECT count(*) FROM events AS e WHERE e.stream_no = s.stream_no)"},
    {"G4", "every event has all its attributes", "has not as many attributes as it was written with",
     "SELECT 'position ' || e.global_position FROM events AS e WHERE e.attribute_count <> "
     "(SELECT count(*) FROM event_attributes AS a WHERE a.global_position = e.global_position)"},
    {"G4", "every attribute belongs to an event", "is the position of an attribute and of no event",
     "SELECT 'position ' || a.global_position FROM event_attributes AS a "
     "WHERE NOT EXISTS (SELECT 1 FROM events AS e WHERE e.global_position = a.global_position)"},
    {"G5", "every command has the events of its outcome", "has not the events of its outcome",
     "SELECT 'command ' || c.command_no FROM commands AS c LEFT JOIN (SELECT command_no, count(*) AS events FROM "
     "events "
     "WHERE command_no IS NOT NULL GROUP BY command_no) AS n ON n.command_no = c.command_no "
     "WHERE (SELECT coalesce(sum(json_extract(o.value, '$.last_version') - json_extract(o.value, '$.first_version') + "
     "1), 0) "
     "FROM json_each(c.outcome) AS o) <> coalesce(n.events, 0)"},
    {"G7", "no position is behind what AUTOINCREMENT has given", "is behind the highest position given",
     "SELECT 'position ' || max(global_position) FROM events "
     "HAVING max(global_position) > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"},
};

void add(VerifyReport& report, const VerifyOptions& options, std::string guarantee, std::string where,
         std::string what) {
  if (report.violations.size() < options.max_violations) {
    report.violations.push_back({std::move(guarantee), std::move(where), std::move(what)});
  }
}

void check_file(Session& session, const VerifyOptions& options, VerifyReport& report) {
  report.checks.emplace_back("the database file is sound (PRAGMA integrity_check)");
  {
    const Use query = session.use("PRAGMA integrity_check(20)");
    while (query->step()) {
      if (query->text(0) != "ok") add(report, options, "storage", "database file", std::string(query->text(0)));
    }
  }
  report.checks.emplace_back("every reference has its row (PRAGMA foreign_key_check)");
  const Use query = session.use("PRAGMA foreign_key_check");
  while (query->step()) {
    add(report, options, "storage", "table " + std::string(query->text(0)) + ", row " + std::to_string(query->int64(1)),
        "refers to a row of " + std::string(query->text(2)) + " that is missing");
  }
}

/// Name → definition of every table, index, trigger and view.
std::map<std::string, std::string> objects(Session& session) {
  std::map<std::string, std::string> found;
  const Use query = session.use("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL");
  while (query->step()) found.emplace(query->text(0), query->text(1));
  return found;
}

/// The triggers are what makes the log append-only: one that was dropped is a hole, whatever the rows say now.
void check_schema(Session& session, const VerifyOptions& options, VerifyReport& report) {
  report.checks.emplace_back("tables, indexes, triggers and views are as migrated (G8, G9)");
  Settings in_memory;
  Session fresh(in_memory, Role::writer);
  for (const driver::Migration& migration : embedded_migrations()) {
    run_script(fresh.handle(), migration.up, "the schema to compare with");
  }
  const auto actual = objects(session);
  const auto expected = objects(fresh);
  for (const auto& [name, definition] : actual) {
    // People may add tables, views and indexes of their own; a trigger could act on what is appended.
    if (name.starts_with("trigger ") && !expected.contains(name)) {
      add(report, options, "G8", name, "is not of the schema of the migrations");
    }
  }
  for (const auto& [name, definition] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end()) {
      add(report, options, "G8", name, "is missing from the schema");
    } else if (found->second != definition) {
      add(report, options, "G8", name, "differs from the schema of the migrations");
    }
  }
}

/// A damaged database answers some checks with an error: that is a finding, and the other checks go on.
template <class Body>
void guarded(const VerifyOptions& options, VerifyReport& report, std::string_view where, Body body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::internal) throw;
    add(report, options, "storage", std::string(where), "cannot be checked: " + error.message());
  }
}

}  // namespace

void verify_storage(Session& session, const VerifyOptions& options, VerifyReport& report) {
  guarded(options, report, "database file", [&] { check_file(session, options, report); });
  guarded(options, report, "schema", [&] { check_schema(session, options, report); });
  for (const Check& check : checks) {
    report.checks.push_back(std::string(check.holds) + " (" + std::string(check.guarantee) + ")");
    guarded(options, report, check.holds, [&] {
      const Use query = session.use(check.sql);
      while (report.violations.size() < options.max_violations && query->step()) {
        add(report, options, std::string(check.guarantee), std::string(query->text(0)), std::string(check.fault));
      }
    });
  }
}

}  // namespace stele::sqlite
