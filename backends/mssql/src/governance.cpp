#include "governance.h"

#include <algorithm>
#include <limits>

#include "errors.h"
#include "pieces.h"
#include "stele_soci/governance_values.h"

namespace stele::mssql {
namespace {

using driver::EventHash;
using soci_backend::bytes_of;
using soci_backend::hash_of;

constexpr int max_attempts = 5;
constexpr std::size_t hashes_at_once = 256;  // 768 parameters; 2,100 are the server's limit.
constexpr std::size_t ids_at_once = 64;
constexpr std::size_t places_at_once = 32;

std::int64_t as_limit(std::size_t limit) {
  return static_cast<std::int64_t>(std::min(limit, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())));
}

/// Calls `work` in a transaction. Of two that insert the same, the second sees at its next attempt what the first did.
template <class Work>
auto in_transaction(Session& session, Work work) {
  for (int attempt = 1;; ++attempt) {
    try {
      Transaction transaction(session);
      auto result = work();
      transaction.commit();
      return result;
    } catch (const Error& error) {
      if (!worth_another_try(error) || attempt == max_attempts || !session.usable()) throw;
    }
  }
}

/// A batch that ends with a number: what it did.
std::int64_t answer(Session& session, std::string_view sql, const Parameters& parameters) {
  return session.execute(sql, parameters).integer(0, 0);
}

std::string repeated(std::string_view one, std::size_t count) {
  std::string text(one);
  for (std::size_t i = 1; i < count; ++i) text.append(", ").append(one);
  return text;
}

std::span<const std::uint8_t> bytes_of_id(const Uuid& id) {
  return {id.bytes().data(), id.bytes().size()};
}

// --- Event types

/// The first statements of a batch about an event type, for these two parameters twice: as text, and as bytes.
constexpr std::string_view declare_type =
    "DECLARE @tenant NVARCHAR(64), @type NVARCHAR(128), @tenant_key VARBINARY(64), @type_key VARBINARY(128), @done "
    "INT; SET @tenant = ?; SET @type = ?; SET @tenant_key = ?; SET @type_key = ?; SET @done = 0; ";

Parameters type_parameters(const std::string& tenant, const std::string& type) {
  Parameters parameters;
  parameters.add(Type::text, tenant).add(Type::text, type).add(Type::bytes, tenant).add(Type::bytes, type);
  return parameters;
}

constexpr std::string_view move_revision =
    "UPDATE $(schema).event_type_rules SET revision = revision + 1, updated_at = SYSUTCDATETIME() "
    "WHERE tenant_key = @tenant_key AND type_key = @type_key; "
    "IF @@ROWCOUNT = 0 INSERT INTO $(schema).event_type_rules (tenant_id, event_type, tenant_key, type_key, "
    "schema_mode, masked, mask_contexts, revision, updated_at) VALUES (@tenant, @type, @tenant_key, @type_key, "
    "N'enforce', N'[]', 1, 1, SYSUTCDATETIME()); ";

constexpr std::string_view has_schema =
    "IF EXISTS (SELECT 1 FROM $(schema).event_schemas WHERE tenant_key = @tenant_key AND type_key = @type_key "
    "AND event_version = @version) ";

// --- Subject keys

constexpr std::string_view key_columns =
    "SELECT key_id, tenant_key, subject_key, master_key_id, wrapped, created_at, destroyed_at "
    "FROM $(schema).subject_keys WHERE ";

void add_keys(const Result& rows, std::vector<SubjectKey>& keys) {
  for (int row = 0; row < rows.rows(); ++row) {
    SubjectKey& key = keys.emplace_back();
    key.key_id = rows.uuid(row, 0);
    key.tenant = rows.bytes(row, 1);
    if (!rows.is_null(row, 2)) key.subject = rows.bytes(row, 2);
    if (!rows.is_null(row, 4)) {
      key.wrapped = WrappedKey{std::string(rows.text(row, 3)), std::string(rows.bytes(row, 4))};
    }
    key.created_at = rows.time(row, 5);
    if (!rows.is_null(row, 6)) key.destroyed_at = rows.time(row, 6);
  }
}

/// Whether an UPDATE of one key, which ends with its condition, changed it. Its last parameters are the key's.
bool changes_key(Session& session, const std::string& update, Parameters parameters, const std::string& tenant,
                 const Uuid& key_id) {
  parameters.add(Type::uuid, key_id).add(Type::bytes, tenant);
  return answer(session, update + " AND key_id = ? AND tenant_key = ?; SELECT @@ROWCOUNT", parameters) == 1;
}

// --- Seals

constexpr std::string_view seal_columns = " seal_number, after_position, to_position, events, root, seal_hash ";

std::vector<LogSeal> seal_rows(const Result& rows) {
  std::vector<LogSeal> seals;
  for (int row = 0; row < rows.rows(); ++row) {
    seals.push_back({rows.integer(row, 0), Position(rows.integer(row, 1)), Position(rows.integer(row, 2)),
                     rows.integer(row, 3), hash_of(backend_name, rows.bytes(row, 4)),
                     hash_of(backend_name, rows.bytes(row, 5))});
  }
  return seals;
}

std::vector<EventHash> hash_rows(const Result& rows) {
  std::vector<EventHash> hashes;
  hashes.reserve(static_cast<std::size_t>(rows.rows()));
  for (int row = 0; row < rows.rows(); ++row) {
    hashes.push_back({Position(rows.integer(row, 0)), hash_of(backend_name, rows.bytes(row, 1)),
                      hash_of(backend_name, rows.bytes(row, 2))});
  }
  return hashes;
}

}  // namespace

std::int64_t event_types_revision(Session& session, const std::string& tenant) {
  return answer(session,
                "SELECT ISNULL(SUM(revision), CAST(0 AS BIGINT)) FROM $(schema).event_type_rules WHERE tenant_key = ?",
                Parameters().add(Type::bytes, tenant));
}

// The rules first, and with them the revision: what is changed between the two statements shows with a later one.
driver::EventTypes list_event_types(Session& session, const std::string& tenant) {
  const Parameters parameters = Parameters().add(Type::bytes, tenant);
  driver::EventTypes types;
  const Result rules = session.execute(
      "SELECT type_key, schema_mode, masked, mask_contexts, keep_days, revision FROM $(schema).event_type_rules "
      "WHERE tenant_key = ? ORDER BY type_key",
      parameters);
  for (int row = 0; row < rules.rows(); ++row) {
    EventTypeRules& one = types.rules.emplace_back();
    one.tenant = tenant;
    one.event_type = rules.bytes(row, 0);
    one.schema_mode = soci_backend::schema_mode(backend_name, rules.text(row, 1));
    one.masked = soci_backend::masked_from_json(backend_name, rules.text(row, 2));
    one.mask_contexts = rules.boolean(row, 3);
    if (!rules.is_null(row, 4)) one.keep_days = static_cast<std::int32_t>(rules.integer(row, 4));
    types.revision += rules.integer(row, 5);
  }
  const Result schemas = session.execute(
      "SELECT type_key, event_version, schema_text, recorded_at FROM $(schema).event_schemas WHERE tenant_key = ? "
      "ORDER BY type_key, event_version",
      parameters);
  for (int row = 0; row < schemas.rows(); ++row) {
    types.schemas.push_back({tenant,
                             {std::string(schemas.bytes(row, 0)), static_cast<std::int32_t>(schemas.integer(row, 1))},
                             std::string(schemas.text(row, 2)),
                             schemas.time(row, 3)});
  }
  return types;
}

bool add_schema(Session& session, const EventSchema& schema) {
  static const std::string sql =
      std::string(declare_type) + "DECLARE @version INT, @text NVARCHAR(MAX); SET @version = ?; SET @text = ?; " +
      std::string(has_schema) +
      "SET @done = 0; ELSE BEGIN "
      "INSERT INTO $(schema).event_schemas (tenant_id, event_type, tenant_key, type_key, event_version, schema_text, "
      "recorded_at) VALUES (@tenant, @type, @tenant_key, @type_key, @version, @text, SYSUTCDATETIME()); " +
      std::string(move_revision) + "SET @done = 1; END; SELECT @done";
  const Parameters parameters = type_parameters(schema.tenant, schema.form.type)
                                    .add(Type::int4, schema.form.event_version)
                                    .add(Type::long_text, schema.text);
  return in_transaction(session, [&] { return answer(session, sql, parameters) == 1; });
}

bool remove_schema(Session& session, const std::string& tenant, const EventForm& form) {
  static const std::string sql =
      std::string(declare_type) + "DECLARE @version INT; SET @version = ?; " + std::string(has_schema) +
      "BEGIN "
      // = pads with blanks.
      "IF EXISTS (SELECT 1 FROM $(schema).events WHERE event_type = @type AND DATALENGTH(event_type) = "
      "DATALENGTH(@type) AND tenant_id = @tenant AND DATALENGTH(tenant_id) = DATALENGTH(@tenant) "
      "AND event_version = @version) SET @done = 2; "
      "ELSE BEGIN DELETE FROM $(schema).event_schemas WHERE tenant_key = @tenant_key AND type_key = @type_key "
      "AND event_version = @version; SET @done = @@ROWCOUNT; " +
      std::string(move_revision) + "END; END; SELECT @done";
  constexpr std::int32_t refused_by_trigger = 51005;
  const Parameters parameters = type_parameters(tenant, form.type).add(Type::int4, form.event_version);
  std::int64_t done = 2;
  try {
    done = in_transaction(session, [&] { return answer(session, sql, parameters); });
  } catch (const Error& error) {  // An event that came meanwhile.
    if (error.native_code() != refused_by_trigger) throw;
  }
  if (done == 2) {
    throw make_error(ErrorCode::invalid_argument, "there are events of type '" + form.type + "', version " +
                                                      std::to_string(form.event_version) + ": its schema stays");
  }
  return done == 1;
}

void set_type_rules(Session& session, const EventTypeRules& rules) {
  static const std::string sql =
      std::string(declare_type) +
      "DECLARE @mode NVARCHAR(16), @masked NVARCHAR(MAX), @contexts BIT, @days INT; "
      "SET @mode = ?; SET @masked = ?; SET @contexts = ?; SET @days = ?; "
      "UPDATE $(schema).event_type_rules SET schema_mode = @mode, masked = @masked, mask_contexts = @contexts, "
      "keep_days = @days, revision = revision + 1, updated_at = SYSUTCDATETIME() WHERE tenant_key = @tenant_key "
      "AND type_key = @type_key; "
      "IF @@ROWCOUNT = 0 INSERT INTO $(schema).event_type_rules (tenant_id, event_type, tenant_key, type_key, "
      "schema_mode, masked, mask_contexts, keep_days, revision, updated_at) VALUES (@tenant, @type, @tenant_key, "
      "@type_key, @mode, @masked, @contexts, @days, 1, SYSUTCDATETIME()); SELECT 1";
  const Parameters parameters = type_parameters(rules.tenant, rules.event_type)
                                    .add(Type::text, to_string(rules.schema_mode))
                                    .add(Type::long_text, soci_backend::masked_to_json(rules.masked))
                                    .add(Type::boolean, rules.mask_contexts)
                                    .add(Type::int4, rules.keep_days);
  in_transaction(session, [&] { return answer(session, sql, parameters); });
}

bool add_subject_key(Session& session, const SubjectKey& key) {
  static const std::string sql =
      "DECLARE @key_id UNIQUEIDENTIFIER, @tenant_key VARBINARY(64), @subject_key VARBINARY(255), @done INT; "
      "SET @key_id = ?; SET @tenant_key = ?; SET @subject_key = ?; SET @done = 0; "
      "IF NOT EXISTS (SELECT 1 FROM $(schema).subject_keys WHERE key_id = @key_id) AND NOT EXISTS (SELECT 1 FROM "
      "$(schema).subject_keys WHERE tenant_key = @tenant_key AND subject_key = @subject_key AND subject_key IS NOT "
      "NULL) BEGIN "
      "INSERT INTO $(schema).subject_keys (key_id, key_bytes, tenant_id, tenant_key, subject, subject_key, "
      "master_key_id, wrapped, created_at) VALUES (@key_id, ?, ?, @tenant_key, ?, @subject_key, ?, ?, "
      "SYSUTCDATETIME()); SET @done = 1; END; SELECT @done";
  Parameters parameters;
  parameters.add(Type::uuid, key.key_id)
      .add(Type::bytes, key.tenant)
      .add(Type::bytes, key.subject)
      .add(Type::bytes, bytes_of_id(key.key_id))
      .add(Type::text, key.tenant)
      .add(Type::text, key.subject)
      .add(Type::text, key.wrapped.value().master_key_id)
      .add(Type::bytes, key.wrapped->bytes);
  return in_transaction(session, [&] { return answer(session, sql, parameters) == 1; });
}

std::optional<SubjectKey> find_subject_key(Session& session, const std::string& tenant, const std::string& subject) {
  std::vector<SubjectKey> keys;
  add_keys(session.execute(std::string(key_columns) + "tenant_key = ? AND subject_key = ? AND subject_key IS NOT NULL",
                           Parameters().add(Type::bytes, tenant).add(Type::bytes, subject)),
           keys);
  if (keys.empty()) return std::nullopt;
  return std::move(keys.front());
}

std::vector<SubjectKey> find_subject_keys(Session& session, const std::string& tenant, std::span<const Uuid> key_ids) {
  std::vector<SubjectKey> keys;
  in_pieces(key_ids.size(), ids_at_once, [&](std::size_t from, std::size_t size) {
    Parameters parameters;
    parameters.add(Type::bytes, tenant);
    for (const Uuid& key_id : key_ids.subspan(from, size)) parameters.add(Type::uuid, key_id);
    add_keys(session.execute(std::string(key_columns) + "tenant_key = ? AND key_id IN (" + repeated("?", size) + ")",
                             parameters),
             keys);
  });
  return keys;
}

std::vector<SubjectKey> list_subject_keys(Session& session, const std::string& tenant, const std::optional<Uuid>& after,
                                          std::size_t limit) {
  std::string sql = std::string(key_columns) + "tenant_key = ?";
  Parameters parameters;
  parameters.add(Type::bytes, tenant);
  if (after) {
    sql += " AND key_bytes > ?";
    parameters.add(Type::bytes, bytes_of_id(*after));
  }
  parameters.add(Type::int8, as_limit(limit));
  std::vector<SubjectKey> keys;
  add_keys(session.execute(sql + " ORDER BY key_bytes OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY", parameters), keys);
  return keys;
}

std::vector<std::string> list_key_tenants(Session& session) {
  const Result rows = session.execute("SELECT DISTINCT tenant_key FROM $(schema).subject_keys", Parameters());
  std::vector<std::string> tenants;
  for (int row = 0; row < rows.rows(); ++row) tenants.emplace_back(rows.bytes(row, 0));
  return tenants;
}

bool rewrap_subject_key(Session& session, const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                        const WrappedKey& to) {
  // = pads with blanks.
  return changes_key(session,
                     "UPDATE $(schema).subject_keys SET master_key_id = ?, wrapped = ? WHERE master_key_id = ? AND "
                     "DATALENGTH(master_key_id) = DATALENGTH(?) AND wrapped = ?",
                     Parameters()
                         .add(Type::text, to.master_key_id)
                         .add(Type::bytes, to.bytes)
                         .add(Type::text, from.master_key_id)
                         .add(Type::text, from.master_key_id)
                         .add(Type::bytes, from.bytes),
                     tenant, key_id);
}

bool destroy_subject_key(Session& session, const std::string& tenant, const Uuid& key_id) {
  return changes_key(session,
                     "UPDATE $(schema).subject_keys SET master_key_id = NULL, wrapped = NULL, destroyed_at = "
                     "SYSUTCDATETIME() WHERE destroyed_at IS NULL",
                     {}, tenant, key_id);
}

bool forget_subject(Session& session, const std::string& tenant, const Uuid& key_id) {
  return changes_key(session,
                     "UPDATE $(schema).subject_keys SET subject = NULL, subject_key = NULL WHERE subject_key IS NOT "
                     "NULL AND destroyed_at IS NOT NULL",
                     {}, tenant, key_id);
}

bool add_seal(Session& session, const LogSeal& seal, std::span<const EventHash> hashes) {
  static const std::string sql =
      "DECLARE @number BIGINT, @last BIGINT, @done INT; SET @number = ?; SET @done = 0; "
      "SELECT @last = ISNULL(MAX(seal_number), 0) FROM $(schema).log_seals; "
      "IF @number = @last + 1 BEGIN "
      "INSERT INTO $(schema).log_seals (seal_number, after_position, to_position, events, root, seal_hash, sealed_at) "
      "VALUES (@number, ?, ?, ?, ?, ?, SYSUTCDATETIME()); SET @done = 1; END; SELECT @done";
  Parameters parameters;
  parameters.add(Type::int8, seal.number)
      .add(Type::int8, seal.after.value())
      .add(Type::int8, seal.to.value())
      .add(Type::int8, seal.events)
      .add(Type::bytes, seal.root)
      .add(Type::bytes, seal.hash);
  return in_transaction(session, [&] {
    // Whoever adds one of the same number meanwhile waits at the primary key, before any hash.
    if (answer(session, sql, parameters) != 1) return false;
    in_pieces(hashes.size(), hashes_at_once, [&](std::size_t from, std::size_t size) {
      Parameters rows;
      for (const EventHash& hash : hashes.subspan(from, size)) {
        rows.add(Type::int8, hash.position.value()).add(Type::bytes, hash.content).add(Type::bytes, hash.link);
      }
      session.execute("INSERT INTO $(schema).event_hashes (global_position, content_hash, link) VALUES " +
                          repeated("(?, ?, ?)", size),
                      rows);
    });
    return true;
  });
}

std::optional<LogSeal> last_seal(Session& session) {
  const std::vector<LogSeal> found = seal_rows(session.execute("SELECT TOP (1)" + std::string(seal_columns) +
                                                               "FROM $(schema).log_seals ORDER BY seal_number DESC"));
  if (found.empty()) return std::nullopt;
  return found.front();
}

std::vector<LogSeal> list_seals(Session& session, std::int64_t after, std::size_t limit) {
  return seal_rows(session.execute("SELECT" + std::string(seal_columns) +
                                       "FROM $(schema).log_seals WHERE seal_number > ? ORDER BY seal_number "
                                       "OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY",
                                   Parameters().add(Type::int8, after).add(Type::int8, as_limit(limit))));
}

std::vector<EventHash> read_hashes(Session& session, Position after, Position to, std::size_t limit) {
  return hash_rows(session.execute(
      "SELECT global_position, content_hash, link FROM $(schema).event_hashes WHERE global_position > ? "
      "AND global_position <= ? ORDER BY global_position OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY",
      Parameters().add(Type::int8, after.value()).add(Type::int8, to.value()).add(Type::int8, as_limit(limit))));
}

std::vector<std::optional<EventHash>> find_hashes(Session& session, std::span<const driver::EventPlace> places) {
  constexpr std::string_view one =
      "SELECT h.global_position, h.content_hash, h.link, CAST(? AS BIGINT) AS place FROM $(schema).event_hashes AS h "
      "WHERE h.global_position = (SELECT e.global_position FROM $(schema).events AS e WHERE e.stream_version = ? "
      "AND e.stream_no = (SELECT s.stream_no FROM $(schema).streams AS s WHERE s.tenant_key = ? AND s.type_key = ? "
      "AND s.stream_key = ?))";
  std::vector<std::optional<EventHash>> hashes(places.size());
  in_pieces(places.size(), places_at_once, [&](std::size_t from, std::size_t size) {
    std::string sql;
    Parameters parameters;
    for (std::size_t i = from; i < from + size; ++i) {
      if (i > from) sql += " UNION ALL ";
      sql += one;
      parameters.add(Type::int8, static_cast<std::int64_t>(i))
          .add(Type::int8, places[i].version.value())
          .add(Type::bytes, places[i].stream.tenant)
          .add(Type::bytes, places[i].stream.type)
          .add(Type::bytes, places[i].stream.id);
    }
    const Result rows = session.execute(sql, parameters);
    const std::vector<EventHash> found = hash_rows(rows);
    for (std::size_t row = 0; row < found.size(); ++row) {
      hashes[static_cast<std::size_t>(rows.integer(static_cast<int>(row), 3))] = found[row];
    }
  });
  return hashes;
}

}  // namespace stele::mssql
