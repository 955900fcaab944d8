#include "verify.h"

#include <libpq-fe.h>

#include "migrate.h"
#include "stele_soci/storage_checks.h"

namespace stele::postgres {
namespace {

using soci_backend::check_rows;
using soci_backend::compare_schema;
using soci_backend::Findings;
using soci_backend::guarded;
using soci_backend::RowCheck;
using soci_backend::SchemaObjects;
namespace rules = soci_backend::rules;

constexpr RowCheck checks[] = {
    {rules::tenant_and_type,
     "SELECT 'position ' || e.global_position FROM events AS e JOIN streams AS s USING (stream_no) "
     "WHERE e.tenant_id <> s.tenant_id OR e.stream_type <> s.stream_type"},
    {rules::stream_of_event,
     "SELECT 'position ' || e.global_position FROM events AS e "
     "WHERE NOT EXISTS (SELECT FROM streams AS s WHERE s.stream_no = e.stream_no)"},
    {rules::head_of_stream,
     "SELECT 'stream ' || s.stream_no FROM streams AS s LEFT JOIN (SELECT stream_no, max(stream_version) AS last, "
     "count(*) AS events FROM events GROUP BY stream_no) AS e USING (stream_no) "
     "WHERE s.version IS DISTINCT FROM e.last OR s.version <> e.events"},
    {rules::attributes_of_event,
     "SELECT 'position ' || e.global_position FROM events AS e LEFT JOIN (SELECT global_position, count(*) AS n FROM "
     "event_attributes GROUP BY global_position) AS a USING (global_position) WHERE e.attribute_count <> coalesce(a.n, "
     "0)"},
    {rules::event_of_attribute,
     "SELECT 'position ' || a.global_position FROM event_attributes AS a "
     "WHERE NOT EXISTS (SELECT FROM events AS e WHERE e.global_position = a.global_position)"},
    {rules::command_of_event,
     "SELECT 'position ' || e.global_position FROM events AS e WHERE e.command_no IS NOT NULL "
     "AND NOT EXISTS (SELECT FROM commands AS c WHERE c.command_no = e.command_no)"},
    {rules::events_of_command,
     "SELECT 'command ' || c.command_no FROM commands AS c LEFT JOIN (SELECT command_no, count(*) AS n FROM events "
     "WHERE command_no IS NOT NULL GROUP BY command_no) AS e USING (command_no) "
     "WHERE CASE jsonb_typeof(c.outcome) WHEN 'array' THEN (SELECT coalesce(sum((o->>'last_version')::bigint - "
     "(o->>'first_version')::bigint + 1), 0) FROM jsonb_array_elements(c.outcome) AS o) END IS DISTINCT FROM "
     "coalesce(e.n, 0)"},
    {rules::given_positions,
     "SELECT 'position ' || max(global_position) FROM events HAVING max(global_position) > "
     "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_global_position_seq)"},
};

/// What the migrations make, in a schema that is gone afterwards.
SchemaObjects expected_objects(Session& session) {
  const std::string schema = "stele_verify_" + std::to_string(PQbackendPID(session.handle()));
  const Transaction rolled_back(session, "BEGIN");
  session.run("CREATE SCHEMA " + schema + "; SET LOCAL search_path = " + schema + ", pg_temp", "verify");
  for (const driver::Migration& migration : embedded_migrations()) {
    run_script(session, migration.up, "the schema to compare with");
  }
  return schema_objects(session);
}

void check_schema(Session& session, Findings& findings) {
  const auto actual = schema_objects(session);
  SchemaObjects expected;
  try {
    expected = expected_objects(session);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::permission_denied) throw;  // A role without the right, or a standby.
    findings.note(
        "NOT checked: tables, indexes, triggers and functions (G8, G9); this role may not create the schema to compare "
        "with");
    return;
  }
  findings.note("tables, indexes, triggers and functions are as migrated (G8, G9)");
  compare_schema(findings, actual, expected);
}

}  // namespace

void verify_storage(Session& session, const VerifyOptions& options, VerifyReport& report) {
  Findings findings(options, report);
  guarded(findings, "schema", [&] { check_schema(session, findings); });
  check_rows(findings, checks, [&](std::string_view sql, const auto& row) {
    session.for_each_row(sql, {}, [&](const Result& result) { return row(result.text(0, 0)); });
  });
}

}  // namespace stele::postgres
