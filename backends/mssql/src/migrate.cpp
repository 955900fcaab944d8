#include "migrate.h"

#include <algorithm>

#include "batches.h"
#include "errors.h"
#include "stele_soci/migration_step.h"

namespace stele::mssql {
namespace {

constexpr std::string_view create_history =
    "IF OBJECT_ID(N'$(schema).stele_migrations', N'U') IS NULL CREATE TABLE $(schema).stele_migrations ("
    " entry_no BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT pk_stele_migrations PRIMARY KEY,"
    " number INT NOT NULL,"
    " title NVARCHAR(200) NOT NULL,"
    " checksum NVARCHAR(64) NOT NULL,"
    " direction NVARCHAR(4) NOT NULL CONSTRAINT ck_stele_migrations CHECK (direction IN (N'up', N'down')),"
    " applied_at DATETIME2(6) NOT NULL DEFAULT SYSUTCDATETIME())";

/// Held by one process at a time until the commit. Two names that differ in case may be one schema, and two schemas of
/// one lock only wait for each other.
void take_migration_lock(Session& session) {
  session.execute(
      "DECLARE @got INT, @name NVARCHAR(255); SET @name = LOWER(?); "
      "EXEC @got = sp_getapplock @Resource = @name, @LockMode = N'Exclusive', "
      "@LockOwner = N'Transaction', @LockTimeout = ?; "
      "IF @got < 0 THROW 51010, N'another process is migrating this schema', 1",
      Parameters()
          .add(Type::text, "stele migrations of " + session.schema())
          .add(Type::int4, session.busy_timeout().count()));
}

}  // namespace

void run_script(Session& session, std::string_view script, const std::string& name) {
  for (const Batch& batch : split_batches(script)) {
    try {
      session.run_batch(batch.text, name, batch.line);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::busy || error.code() == ErrorCode::cannot_connect) throw;
      throw Error(ErrorCode::migration_failed, error.message(),
                  {.backend = error.backend(),
                   .native_code = error.native_code(),
                   .sqlstate = error.sqlstate(),
                   .retryable = false,
                   .outcome = Outcome::not_applied});
    }
  }
}

std::vector<driver::MigrationRecord> migration_history(Session& session) {
  std::vector<driver::MigrationRecord> history;
  // Asked for first: to name a table that is not there would end a transaction.
  if (session
          .execute("SELECT 1 FROM sys.tables WHERE name = N'stele_migrations' AND schema_id = SCHEMA_ID(?)",
                   Parameters().add(Type::text, session.schema()))
          .rows() == 0) {
    return history;
  }
  const Result rows = session.execute(
      "SELECT number, title, checksum, direction, applied_at FROM $(schema).stele_migrations ORDER BY entry_no");
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
  Transaction transaction(session);
  take_migration_lock(session);
  session.learn_schema();
  if (driver::current_migration(migration_history(session)) != step.current) return false;
  // CREATE SCHEMA has to be alone in its batch.
  if (session.execute("SELECT 1 FROM sys.schemas WHERE name = ?", Parameters().add(Type::text, session.schema()))
          .rows() == 0) {
    session.run("CREATE SCHEMA $(schema)", "create the schema");
  }
  const soci_backend::MigrationScript script = soci_backend::script_of(step);
  run_script(session, script.text, script.name);
  session.run(create_history, "create the history");
  const driver::MigrationRecord row = soci_backend::history_row(step);
  session.execute("INSERT INTO $(schema).stele_migrations (number, title, checksum, direction) VALUES (?, ?, ?, ?)",
                  Parameters()
                      .add(Type::int4, row.number)
                      .add(Type::text, row.title)
                      .add(Type::text, row.checksum)
                      .add(Type::text, soci_backend::direction_name(row.up)));
  transaction.commit();
  return true;
}

namespace {

// Each row is an object's name, a place in it, and a line of its definition. The one parameter is the schema's name.
constexpr std::string_view schema_queries[] = {
    "SELECT N'table ' + t.name, c.column_id, c.name + N' ' + y.name + N'(' + CAST(c.max_length AS NVARCHAR(20)) + N',' "
    "+ "
    "CAST(c.precision AS NVARCHAR(20)) + N',' + CAST(c.scale AS NVARCHAR(20)) + N')' + "
    "CASE WHEN c.collation_name IS NULL THEN N'' ELSE N' COLLATE ' + c.collation_name END + "
    "CASE c.is_nullable WHEN 1 THEN N'' ELSE N' NOT NULL' END + CASE c.is_identity WHEN 1 THEN N' IDENTITY' ELSE N'' "
    "END "
    "FROM sys.tables AS t JOIN sys.columns AS c ON c.object_id = t.object_id "
    "JOIN sys.types AS y ON y.user_type_id = c.user_type_id WHERE t.schema_id = SCHEMA_ID(?)",

    "SELECT N'constraint ' + f.name + N' on ' + t.name, k.constraint_column_id, COL_NAME(k.parent_object_id, "
    "k.parent_column_id) + N' REFERENCES ' + r.name + N'.' + COL_NAME(k.referenced_object_id, k.referenced_column_id) "
    "+ "
    "CASE f.delete_referential_action WHEN 1 THEN N' ON DELETE CASCADE' ELSE N'' END + "
    "CASE f.is_disabled WHEN 1 THEN N' DISABLED' ELSE N'' END "
    "FROM sys.tables AS t JOIN sys.foreign_keys AS f ON f.parent_object_id = t.object_id "
    "JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id "
    "JOIN sys.tables AS r ON r.object_id = f.referenced_object_id WHERE t.schema_id = SCHEMA_ID(?)",

    "SELECT N'index ' + x.name + N' on ' + t.name, k.index_column_id, COL_NAME(k.object_id, k.column_id) + "
    "CASE x.is_unique WHEN 1 THEN N' UNIQUE' ELSE N'' END + CASE x.is_primary_key WHEN 1 THEN N' PRIMARY KEY' ELSE N'' "
    "END "
    "+ CASE k.is_descending_key WHEN 1 THEN N' DESC' ELSE N'' END + CASE x.is_disabled WHEN 1 THEN N' DISABLED' ELSE "
    "N'' "
    "END + ISNULL(N' WHERE ' + x.filter_definition, N'') "
    "FROM sys.tables AS t JOIN sys.indexes AS x ON x.object_id = t.object_id "
    "JOIN sys.index_columns AS k ON k.object_id = x.object_id AND k.index_id = x.index_id "
    "WHERE x.name IS NOT NULL AND t.schema_id = SCHEMA_ID(?)",

    "SELECT N'trigger ' + g.name + N' on ' + t.name, 0, CASE g.is_disabled WHEN 1 THEN N'DISABLED ' ELSE N'' END + "
    "ISNULL(m.definition, N'') FROM sys.tables AS t JOIN sys.triggers AS g ON g.parent_id = t.object_id "
    "LEFT JOIN sys.sql_modules AS m ON m.object_id = g.object_id WHERE t.schema_id = SCHEMA_ID(?)",

    "SELECT CASE o.type WHEN 'V' THEN N'view ' ELSE N'procedure ' END + o.name, 0, ISNULL(m.definition, N'') "
    "FROM sys.objects AS o LEFT JOIN sys.sql_modules AS m ON m.object_id = o.object_id "
    "WHERE o.type IN ('P', 'V') AND o.schema_id = SCHEMA_ID(?)",
};

constexpr std::string_view checks_query =
    "SELECT N'constraint ' + n.name + N' on ' + t.name, 0, N'CHECK ' + n.definition + "
    "CASE n.is_disabled WHEN 1 THEN N' DISABLED' ELSE N'' END "
    "FROM sys.tables AS t JOIN sys.check_constraints AS n ON n.parent_object_id = t.object_id "
    "WHERE t.schema_id = SCHEMA_ID(?)";

// Babelfish's sys.check_constraints breaks off with an error where a CHECK compares texts; its PostgreSQL has the text.
constexpr std::string_view babelfish_checks_query =
    "SELECT N'constraint ' + n.conname + N' on ' + t.name, 0, pg_get_constraintdef(n.oid) "
    "FROM sys.tables AS t JOIN pg_constraint AS n ON n.conrelid = t.object_id "
    "WHERE n.contype = 'c' AND t.schema_id = SCHEMA_ID(?)";

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

struct Line {
  std::string object;
  std::int64_t place;
  std::string text;
};

}  // namespace

soci_backend::SchemaObjects schema_objects(Session& session, const std::string& schema) {
  std::vector<Line> lines;
  std::vector<std::string_view> queries(std::begin(schema_queries), std::end(schema_queries));
  queries.push_back(session.is_babelfish() ? babelfish_checks_query : checks_query);
  for (const std::string_view query : queries) {
    const Result rows = session.execute(query, Parameters().add(Type::text, schema));
    for (int row = 0; row < rows.rows(); ++row) {
      Line line{std::string(rows.text(row, 0)), rows.integer(row, 1), std::string(rows.text(row, 2))};
      if (line.object.ends_with("stele_migrations")) continue;
      // Definitions are as they were written: with the schema's name, which is the only difference between two stores.
      replace_all(line.text, quoted_identifier(schema), "$(schema)");
      std::erase(line.text, '\r');
      lines.push_back(std::move(line));
    }
  }
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return std::tie(a.object, a.place, a.text) < std::tie(b.object, b.place, b.text);
  });
  soci_backend::SchemaObjects objects;
  for (const Line& line : lines) objects[line.object] += "    " + line.text + "\n";
  return objects;
}

std::string dump_schema(Session& session) {
  return soci_backend::dump_text(schema_objects(session, session.schema()));
}

}  // namespace stele::mssql
