#include "verify.h"

#include "errors.h"
#include "migrate.h"
#include "stele/driver/outcome.h"
#include "stele_soci/storage_checks.h"

namespace stele::mssql {
namespace {

using soci_backend::check_rows;
using soci_backend::compare_schema;
using soci_backend::Findings;
using soci_backend::guarded;
using soci_backend::RowCheck;
using soci_backend::Rule;
using soci_backend::SchemaObjects;
namespace rules = soci_backend::rules;

constexpr Rule texts_of_keys{"G1", "every key's text is what its bytes say",
                             "has a key whose text is not what its bytes say"};

constexpr RowCheck checks[] = {
    {rules::tenant_and_type,
     "SELECT N'position ' + CAST(e.global_position AS NVARCHAR(20)) FROM $(schema).events AS e "
     "JOIN $(schema).streams AS s ON s.stream_no = e.stream_no WHERE e.tenant_id <> s.tenant_id OR "
     "DATALENGTH(e.tenant_id) <> DATALENGTH(s.tenant_id) OR e.stream_type <> s.stream_type OR "
     "DATALENGTH(e.stream_type) <> DATALENGTH(s.stream_type)"},
    {rules::stream_of_event,
     "SELECT N'position ' + CAST(e.global_position AS NVARCHAR(20)) FROM $(schema).events AS e "
     "WHERE NOT EXISTS (SELECT 1 FROM $(schema).streams AS s WHERE s.stream_no = e.stream_no)"},
    {rules::head_of_stream,
     "SELECT N'stream ' + CAST(s.stream_no AS NVARCHAR(20)) FROM $(schema).streams AS s LEFT JOIN (SELECT stream_no, "
     "MAX(stream_version) AS last, COUNT_BIG(*) AS events FROM $(schema).events GROUP BY stream_no) AS e "
     "ON e.stream_no = s.stream_no WHERE e.last IS NULL OR s.version <> e.last OR s.version <> e.events"},
    {rules::attributes_of_event,
     "SELECT N'position ' + CAST(e.global_position AS NVARCHAR(20)) FROM $(schema).events AS e LEFT JOIN (SELECT "
     "global_position, COUNT(*) AS n FROM $(schema).event_attributes GROUP BY global_position) AS a "
     "ON a.global_position = e.global_position WHERE e.attribute_count <> ISNULL(a.n, 0)"},
    {rules::event_of_attribute,
     "SELECT N'position ' + CAST(a.global_position AS NVARCHAR(20)) FROM $(schema).event_attributes AS a "
     "WHERE NOT EXISTS (SELECT 1 FROM $(schema).events AS e WHERE e.global_position = a.global_position)"},
    {rules::command_of_event,
     "SELECT N'position ' + CAST(e.global_position AS NVARCHAR(20)) FROM $(schema).events AS e "
     "WHERE e.command_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM $(schema).commands AS c "
     "WHERE c.command_id = e.command_id)"},
    {rules::given_positions,
     "SELECT N'position ' + CAST(MAX(global_position) AS NVARCHAR(20)) FROM $(schema).events "
     // To who may not alter the table, Babelfish says that it is at the beginning.
     "HAVING MAX(global_position) > IDENT_CURRENT(N'$(schema).events') AND (IDENT_CURRENT(N'$(schema).events') > 1 "
     "OR HAS_PERMS_BY_NAME(N'$(schema).events', N'OBJECT', N'ALTER') = 1)"},
};

/// What the migrations make, in a schema that is gone afterwards.
SchemaObjects expected_objects(Session& session) {
  const std::string schema =
      "stele_verify_" + std::to_string(session.execute("SELECT CAST(@@SPID AS INT)").integer(0, 0));
  const Transaction rolled_back(session);
  session.run("CREATE SCHEMA " + schema, "verify");
  for (const driver::Migration& migration : embedded_migrations()) {
    run_script(session, with_schema(migration.up, quoted_identifier(schema)), "the schema to compare with");
  }
  return schema_objects(session, schema);
}

void check_schema(Session& session, Findings& findings) {
  const SchemaObjects actual = schema_objects(session, session.schema());
  SchemaObjects expected;
  try {
    expected = expected_objects(session);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::permission_denied) throw;
    findings.note(
        "NOT checked: tables, indexes, triggers and procedures (G8, G9); this user may not create the schema to "
        "compare "
        "with");
    return;
  }
  findings.note("tables, indexes, triggers and procedures are as migrated (G8, G9)");
  compare_schema(findings, actual, expected);
}

void check_commands(Session& session, Findings& findings) {
  const Rule& rule = rules::events_of_command;
  findings.note(std::string(rule.holds) + " (" + std::string(rule.guarantee) + ")");
  session.for_each_row(
      "SELECT c.command_no, c.outcome, ISNULL(e.n, 0) FROM $(schema).commands AS c LEFT JOIN (SELECT command_id, "
      "COUNT_BIG(*) AS n FROM $(schema).events WHERE command_id IS NOT NULL GROUP BY command_id) AS e "
      "ON e.command_id = c.command_id",
      {}, [&](const Result& row) {
        std::int64_t events = -1;
        try {
          events = 0;
          for (const StreamOutcome& stream : driver::outcome_from_json(row.json(0, 1), {})) {
            events += stream.last_version.value() - stream.first_version.value() + 1;
          }
        } catch (const Error&) {
          events = -1;
        }
        if (events != row.integer(0, 2)) {
          findings.add(rule.guarantee, "command " + std::to_string(row.integer(0, 0)), rule.fault);
        }
        return !findings.full();
      });
}

/// The last column says which row it is, and before it come the texts, and then the bytes of each.
void check_texts(Session& session, Findings& findings, std::string_view sql) {
  session.for_each_row(sql, {}, [&](const Result& row) {
    const int keys = row.columns() / 2;
    for (int i = 0; i < keys; ++i) {
      const bool none = row.is_null(0, i) || row.is_null(0, keys + i);
      if (none ? row.is_null(0, i) == row.is_null(0, keys + i) : row.text(0, i) == row.bytes(0, keys + i)) continue;
      findings.add(texts_of_keys.guarantee, std::string(row.text(0, 2 * keys)), texts_of_keys.fault);
      break;
    }
    return !findings.full();
  });
}

void check_keys(Session& session, Findings& findings) {
  findings.note(std::string(texts_of_keys.holds) + " (" + std::string(texts_of_keys.guarantee) + ")");
  check_texts(session, findings,
              "SELECT tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, "
              "N'stream ' + CAST(stream_no AS NVARCHAR(20)) FROM $(schema).streams");
  check_texts(
      session, findings,
      "SELECT tenant_id, source, request_id, stream_type, stream_id, tenant_key, source_key, request_key, type_key, "
      "stream_key, N'command ' + CAST(command_no AS NVARCHAR(20)) FROM $(schema).commands");
  for (const char* table : {"projections", "projection_offsets", "projection_members", "dead_letters"}) {
    check_texts(session, findings,
                "SELECT projection_name, tenant_id, projection_key, tenant_key, N'projection ' + projection_name FROM "
                "$(schema)." +
                    std::string(table));
  }
  check_texts(session, findings, "SELECT member, member_key, N'member ' + member FROM $(schema).projection_members");
  for (const char* table : {"event_schemas", "event_type_rules"}) {
    check_texts(session, findings,
                "SELECT tenant_id, event_type, tenant_key, type_key, N'event type ' + event_type FROM $(schema)." +
                    std::string(table));
  }
  check_texts(session, findings,
              "SELECT tenant_id, subject, tenant_key, subject_key, N'subject key ' + CAST(key_id AS NVARCHAR(36)) FROM "
              "$(schema).subject_keys");
}

}  // namespace

void verify_storage(Session& session, const VerifyOptions& options, VerifyReport& report) {
  Findings findings(options, report);
  guarded(findings, "schema", [&] { check_schema(session, findings); });
  check_rows(findings, checks, [&](std::string_view sql, const auto& row) {
    session.for_each_row(sql, {}, [&](const Result& result) { return row(result.text(0, 0)); });
  });
  guarded(findings, "commands", [&] { check_commands(session, findings); });
  guarded(findings, "keys", [&] { check_keys(session, findings); });
}

}  // namespace stele::mssql
