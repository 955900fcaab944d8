#include "migrate.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include "errors.h"
#include "stele_soci/migration_step.h"

namespace stele::postgres {
namespace {

constexpr const char* create_history =
    "CREATE TABLE IF NOT EXISTS stele_migrations ("
    " entry_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " number integer NOT NULL,"
    " title text NOT NULL,"
    " checksum text NOT NULL,"
    " direction text NOT NULL CHECK (direction IN ('up', 'down')),"
    " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";

/// The line of a script at a character's place, both from 1. A place counts characters, not bytes.
std::size_t line_at(std::string_view script, std::size_t place) {
  std::size_t line = 1;
  for (const char c : script) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    if (place-- <= 1) break;
    if (c == '\n') ++line;
  }
  return line;
}

/// Where a quoted part, a comment or a dollar-quoted text that begins here ends; `at` itself when none begins.
std::size_t behind_quoted(std::string_view script, std::size_t at) {
  const auto behind = [&](std::string_view end, std::size_t from) {
    const std::size_t found = script.find(end, from);
    return found == std::string_view::npos ? script.size() : found + end.size();
  };
  const std::string_view rest = script.substr(at);
  if (rest.starts_with("--")) return behind("\n", at);
  if (rest.starts_with("/*")) return behind("*/", at + 2);
  if (rest.front() == '\'' || rest.front() == '"') return behind(rest.substr(0, 1), at + 1);
  if (rest.front() != '$') return at;
  std::size_t tag = 1;
  while (tag < rest.size() && (std::isalnum(static_cast<unsigned char>(rest[tag])) != 0 || rest[tag] == '_')) ++tag;
  if (tag == rest.size() || rest[tag] != '$') return at;
  return behind(rest.substr(0, tag + 1), at + tag + 1);
}

/// The line on which a script's statement begins; statements count from 0.
std::size_t line_of_statement(std::string_view script, std::size_t statement) {
  std::size_t at = 0;
  bool begun = false;
  while (at < script.size()) {
    const bool comment = script.substr(at).starts_with("--") || script.substr(at).starts_with("/*");
    if (!comment && !begun && std::isspace(static_cast<unsigned char>(script[at])) == 0) {
      if (statement == 0) break;
      begun = true;
    }
    const std::size_t behind = behind_quoted(script, at);
    if (behind != at) {
      at = behind;
    } else if (script[at++] == ';' && begun) {
      begun = false;
      --statement;
    }
  }
  return 1 +
         static_cast<std::size_t>(std::count(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

}  // namespace

void run_script(Session& session, std::string_view script, const std::string& name) {
  if (PQsendQuery(session.handle(), std::string(script).c_str()) == 0) {
    throw make_error(session.handle(), nullptr, name);
  }
  std::optional<Error> failure;
  std::size_t done = 0;
  while (pg_result* next = PQgetResult(session.handle())) {
    const Result result(next);
    const ExecStatusType status = PQresultStatus(next);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
      ++done;
    } else if (!failure) {
      const char* place = PQresultErrorField(next, PG_DIAG_STATEMENT_POSITION);
      const std::size_t line =
          place == nullptr ? line_of_statement(script, done) : line_at(script, std::strtoull(place, nullptr, 10));
      failure = make_error(session.handle(), next, name + ", line " + std::to_string(line));
    }
  }
  if (!failure) return;
  if (PQstatus(session.handle()) != CONNECTION_OK || failure->code() == ErrorCode::busy) throw *failure;
  throw Error(ErrorCode::migration_failed, failure->message(),
              {.backend = failure->backend(),
               .native_code = 0,
               .sqlstate = failure->sqlstate(),
               .retryable = false,
               .outcome = Outcome::not_applied});
}

std::vector<driver::MigrationRecord> migration_history(Session& session) {
  std::vector<driver::MigrationRecord> history;
  // From the catalog's tables and not through to_regclass(), whose cache may not yet know what another process made
  // while this one waited for its lock.
  const Result table = session.execute(
      "SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
      "WHERE n.nspname = $1 AND c.relname = 'stele_migrations'",
      Parameters().add(Type::text, session.schema()));
  if (table.rows() == 0) return history;
  const Result rows =
      session.execute("SELECT number, title, checksum, direction, applied_at FROM stele_migrations ORDER BY entry_no");
  for (int row = 0; row < rows.rows(); ++row) {
    history.push_back({.number = static_cast<int>(rows.integer(row, 0)),
                       .title = std::string(rows.text(row, 1)),
                       .checksum = std::string(rows.text(row, 2)),
                       .up = rows.text(row, 3) == soci_backend::direction_name(true),
                       .applied_at = rows.time(row, 4)});
  }
  return history;
}

bool apply_migration(Session& session, const driver::MigrationStep& step) {
  Transaction transaction(session, "BEGIN");
  // Held by one process at a time until the commit.
  session.execute("SELECT pg_advisory_xact_lock(hashtextextended('stele migrations of ' || $1, 0))",
                  Parameters().add(Type::text, session.schema()));
  if (driver::current_migration(migration_history(session)) != step.current) return false;
  // Asked for first, because IF NOT EXISTS needs the right to create it even when it is there.
  if (session.execute("SELECT FROM pg_namespace WHERE nspname = $1", Parameters().add(Type::text, session.schema()))
          .rows() == 0) {
    session.run("CREATE SCHEMA " + quoted_identifier(session.schema()), "create the schema");
  }
  const soci_backend::MigrationScript script = soci_backend::script_of(step);
  run_script(session, script.text, script.name);
  session.run(create_history, "create the history");
  const driver::MigrationRecord row = soci_backend::history_row(step);
  session.execute("INSERT INTO stele_migrations (number, title, checksum, direction) VALUES ($1, $2, $3, $4)",
                  Parameters()
                      .add(Type::int4, std::int32_t{row.number})
                      .add(Type::text, row.title)
                      .add(Type::text, row.checksum)
                      .add(Type::text, soci_backend::direction_name(row.up)));
  transaction.commit();
  return true;
}

namespace {

// In one statement, so that it is one state. What is in the search path comes without its schema's name.
constexpr std::string_view schema_query =
    "WITH own AS (SELECT c.oid, c.relname, c.relkind FROM pg_class AS c "
    "  WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relname <> 'stele_migrations') "
    "SELECT name, line FROM ("
    "SELECT 1 AS part, CASE c.relkind WHEN 'c' THEN 'type ' ELSE 'table ' END || c.relname AS name, a.attnum AS place, "
    "  format('    %I %s%s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod), "
    "  CASE WHEN a.attcollation <> t.typcollation THEN "
    "  (SELECT format(' COLLATE %I', l.collname) FROM pg_collation AS l WHERE l.oid = a.attcollation) ELSE '' END, "
    "  CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, "
    "  coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''), "
    "  CASE a.attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE '' END) AS line "
    "FROM own AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum "
    "WHERE c.relkind IN ('r', 'c') "
    // Newer servers list NOT NULL among the constraints, too.
    "UNION ALL SELECT 2, 'constraint ' || n.conname || ' on ' || c.relname, 0, '    ' || "
    "  pg_get_constraintdef(n.oid, true) FROM pg_constraint AS n JOIN own AS c ON c.oid = n.conrelid "
    "WHERE n.contype IN ('c', 'f', 'p', 'u', 'x') "
    "UNION ALL SELECT 3, 'index ' || i.relname, 0, '    ' || pg_get_indexdef(i.oid, 0, true) "
    "FROM own AS i JOIN pg_index AS x ON x.indexrelid = i.oid JOIN own AS c ON c.oid = x.indrelid "
    "UNION ALL SELECT 4, 'trigger ' || g.tgname || ' on ' || c.relname, 0, '    ' || pg_get_triggerdef(g.oid, true) "
    "  || CASE g.tgenabled WHEN 'A' THEN ' ENABLE ALWAYS' WHEN 'O' THEN '' ELSE ' DISABLED' END "
    "FROM pg_trigger AS g JOIN own AS c ON c.oid = g.tgrelid WHERE NOT g.tgisinternal "
    "UNION ALL SELECT 5, 'function ' || p.proname, 0, format(E'    (%s) returns %s, %s%s%s:\n%s', "
    "  pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, "
    "  CASE WHEN p.prosecdef THEN ', security definer' ELSE '' END, "
    "  (SELECT coalesce(string_agg(', ' || CASE WHEN c = 'search_path=' || quote_ident(current_schema()) || ', "
    "pg_temp' "
    "  THEN 'own search_path' ELSE c END, '' ORDER BY c), '') FROM unnest(p.proconfig) AS c), "
    "  coalesce(pg_get_function_sqlbody(p.oid), trim(E'\n' FROM p.prosrc))) "
    "FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang "
    "WHERE p.pronamespace = to_regnamespace(quote_ident(current_schema())) "
    "UNION ALL SELECT 0, 'domain ' || t.typname, 0, '    ' || format_type(t.typbasetype, t.typtypmod) || "
    "  CASE WHEN t.typcollation <> b.typcollation THEN "
    "  (SELECT format(' COLLATE %I', l.collname) FROM pg_collation AS l WHERE l.oid = t.typcollation) ELSE '' END "
    "  || coalesce(' ' || pg_get_constraintdef(n.oid, true), '') "
    "FROM pg_type AS t JOIN pg_type AS b ON b.oid = t.typbasetype LEFT JOIN pg_constraint AS n ON n.contypid = t.oid "
    "WHERE t.typtype = 'd' AND t.typnamespace = to_regnamespace(quote_ident(current_schema())) "
    "UNION ALL SELECT 6, 'view ' || c.relname, 0, pg_get_viewdef(c.oid, true) "
    "FROM own AS c WHERE c.relkind = 'v') AS lines ORDER BY part, name COLLATE \"C\", place, line COLLATE \"C\"";

}  // namespace

soci_backend::SchemaObjects schema_objects(Session& session) {
  const Result rows = session.execute(schema_query);
  soci_backend::SchemaObjects objects;
  for (int row = 0; row < rows.rows(); ++row) {
    (objects[std::string(rows.text(row, 0))] += rows.text(row, 1)) += '\n';
  }
  return objects;
}

std::string dump_schema(Session& session) {
  return soci_backend::dump_text(schema_objects(session));
}

}  // namespace stele::postgres
