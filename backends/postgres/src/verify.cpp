#include "verify.h"

#include <libpq-fe.h>

#include <map>

#include "errors.h"
#include "migrate.h"

namespace stele::postgres {
namespace {

/// A query that gives a row for each fault, with a text that says where.
struct Check {
  std::string_view guarantee;
  std::string_view holds;
  std::string_view fault;
  std::string_view sql;
};

constexpr Check checks[] = {
    {"G1", "every event has its stream's tenant and type", "has another tenant or type than its stream",
     "SELECT 'position ' || e.global_position FROM events AS e JOIN streams AS s USING (stream_no) "
     "WHERE e.tenant_id <> s.tenant_id OR e.stream_type <> s.stream_type"},
    {"G2", "every event belongs to a stream", "belongs to no stream",
     "SELECT 'position ' || e.global_position FROM events AS e "
     "WHERE NOT EXISTS (SELECT FROM streams AS s WHERE s.stream_no = e.stream_no)"},
    {"G2", "every stream's head is its last event", "has a head that is not its last event",
     "SELECT 'stream ' || s.stream_no FROM streams AS s LEFT JOIN (SELECT stream_no, max(stream_version) AS last, "
     "count(*) AS events FROM events GROUP BY stream_no) AS e USING (stream_no) "
     "WHERE s.version IS DISTINCT FROM e.last OR s.version <> e.events"},
    {"G4", "every event has all its attributes", "has not as many attributes as it was written with",
     "SELECT 'position ' || e.global_position FROM events AS e LEFT JOIN (SELECT global_position, count(*) AS n FROM "
     "event_attributes GROUP BY global_position) AS a USING (global_position) WHERE e.attribute_count <> coalesce(a.n, "
     "0)"},
    {"G4", "every attribute belongs to an event", "is the position of an attribute and of no event",
     "SELECT 'position ' || a.global_position FROM event_attributes AS a "
     "WHERE NOT EXISTS (SELECT FROM events AS e WHERE e.global_position = a.global_position)"},
    {"G5", "every event's command is recorded", "has a command that is not recorded",
     "SELECT 'position ' || e.global_position FROM events AS e WHERE e.command_no IS NOT NULL "
     "AND NOT EXISTS (SELECT FROM commands AS c WHERE c.command_no = e.command_no)"},
    {"G5", "every command has the events of its outcome", "has not the events of its outcome",
     "SELECT 'command ' || c.command_no FROM commands AS c LEFT JOIN (SELECT command_no, count(*) AS n FROM events "
     "WHERE command_no IS NOT NULL GROUP BY command_no) AS e USING (command_no) "
     "WHERE CASE jsonb_typeof(c.outcome) WHEN 'array' THEN (SELECT coalesce(sum((o->>'last_version')::bigint - "
     "(o->>'first_version')::bigint + 1), 0) FROM jsonb_array_elements(c.outcome) AS o) END IS DISTINCT FROM "
     "coalesce(e.n, 0)"},
    {"G7", "no position is behind what the sequence has given", "is behind the highest position given",
     "SELECT 'position ' || max(global_position) FROM events HAVING max(global_position) > "
     "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_global_position_seq)"},
};

void add(VerifyReport& report, const VerifyOptions& options, std::string guarantee, std::string where,
         std::string what) {
  if (report.violations.size() < options.max_violations) {
    report.violations.push_back({std::move(guarantee), std::move(where), std::move(what)});
  }
}

/// What the migrations make, in a schema that is gone afterwards.
std::map<std::string, std::string> expected_objects(Session& session) {
  const std::string schema = "stele_verify_" + std::to_string(PQbackendPID(session.handle()));
  const Transaction rolled_back(session, "BEGIN");
  session.run("CREATE SCHEMA " + schema + "; SET LOCAL search_path = " + schema + ", pg_temp", "verify");
  for (const driver::Migration& migration : embedded_migrations()) {
    run_script(session, migration.up, "the schema to compare with");
  }
  return schema_objects(session);
}

/// The triggers are what makes the log append-only: one that was dropped is a hole, whatever the rows say now.
void check_schema(Session& session, const VerifyOptions& options, VerifyReport& report) {
  const auto actual = schema_objects(session);
  std::map<std::string, std::string> expected;
  try {
    expected = expected_objects(session);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::permission_denied) throw;  // A role without the right, or a standby.
    report.checks.emplace_back(
        "NOT checked: tables, indexes, triggers and functions (G8, G9); this role may not create the schema to compare "
        "with");
    return;
  }
  report.checks.emplace_back("tables, indexes, triggers and functions are as migrated (G8, G9)");
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

/// A damaged table answers some checks with an error: that is a finding, and the other checks go on.
template <class Body>
void guarded(const VerifyOptions& options, VerifyReport& report, std::string_view where, Body body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::internal &&
        error.code() != ErrorCode::schema_outdated && error.code() != ErrorCode::rejected_by_database) {
      throw;
    }
    add(report, options, "storage", std::string(where), "cannot be checked: " + error.message());
  }
}

}  // namespace

void verify_storage(Session& session, const VerifyOptions& options, VerifyReport& report) {
  guarded(options, report, "schema", [&] { check_schema(session, options, report); });
  for (const Check& check : checks) {
    report.checks.push_back(std::string(check.holds) + " (" + std::string(check.guarantee) + ")");
    guarded(options, report, check.holds, [&] {
      session.for_each_row(check.sql, {}, [&](const Result& row) {
        add(report, options, std::string(check.guarantee), std::string(row.text(0, 0)), std::string(check.fault));
        return report.violations.size() < options.max_violations;
      });
    });
  }
}

}  // namespace stele::postgres
