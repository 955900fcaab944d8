#include "governance.h"

#include <sqlite3.h>

#include <algorithm>
#include <limits>

#include "errors.h"
#include "stele_soci/governance_values.h"
#include "streams.h"

namespace stele::sqlite {
namespace {

using driver::EventHash;
using soci_backend::bytes_of;
using soci_backend::hash_of;

bool changed(Session& session) {
  return sqlite3_changes64(session.handle()) > 0;
}

std::int64_t as_limit(std::size_t limit) {
  return static_cast<std::int64_t>(std::min(limit, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())));
}

void bind(Statement& statement, int index, const ChainHash& hash) {
  statement.bind_blob(index, hash.data(), hash.size());
}

void bind(Statement& statement, int first, const std::string& tenant, const EventForm& form) {
  statement.bind(first, tenant);
  statement.bind(first + 1, form.type);
  statement.bind(first + 2, std::int64_t{form.event_version});
}

// --- Event types

/// Says to those who keep the tenant's types in memory that they have changed. No UPSERT: its INSERT would come first,
/// and no row may be inserted in another's place.
void move_revision(Session& session, const std::string& tenant, const std::string& type) {
  {
    const Use update = session.use(
        "UPDATE event_type_rules SET revision = revision + 1, updated_at = ?3 WHERE tenant_id = ?1 AND event_type = "
        "?2");
    update->bind(1, tenant);
    update->bind(2, type);
    update->bind(3, Timestamp::now());
    update->step();
  }
  if (changed(session)) return;
  const Use insert =
      session.use("INSERT INTO event_type_rules (tenant_id, event_type, updated_at) VALUES (?1, ?2, ?3)");
  insert->bind(1, tenant);
  insert->bind(2, type);
  insert->bind(3, Timestamp::now());
  insert->step();
}

bool has_schema(Session& session, const std::string& tenant, const EventForm& form) {
  const Use query =
      session.use("SELECT 1 FROM event_schemas WHERE tenant_id = ?1 AND event_type = ?2 AND event_version = ?3");
  bind(*query, 1, tenant, form);
  return query->step();
}

bool has_event(Session& session, const std::string& tenant, const EventForm& form) {
  const auto tenant_no = session.names().find(tenant);
  const auto type_no = session.names().find(form.type);
  if (!tenant_no || !type_no) return false;
  // +: by the index of types.
  const Use query =
      session.use("SELECT 1 FROM events WHERE event_type_no = ?1 AND +tenant_no = ?2 AND event_version = ?3 LIMIT 1");
  query->bind(1, *type_no);
  query->bind(2, *tenant_no);
  query->bind(3, std::int64_t{form.event_version});
  return query->step();
}

// --- Subject keys

constexpr std::string_view key_columns =
    "SELECT key_id, tenant_id, subject, master_key_id, wrapped, created_at, destroyed_at FROM subject_keys WHERE ";

SubjectKey key_row(const Statement& row) {
  SubjectKey key;
  key.key_id = row.uuid(0);
  key.tenant = row.text(1);
  key.subject = row.text(2);
  if (!row.is_null(4)) key.wrapped = WrappedKey{std::string(row.text(3)), std::string(row.blob(4))};
  key.created_at = row.time(5);
  if (!row.is_null(6)) key.destroyed_at = row.time(6);
  return key;
}

/// While it lives, what is deleted from a page is overwritten with zeros.
class SecureDelete {
 public:
  explicit SecureDelete(Session& session) : session_(session) {
    Statement query(session_.handle(), "PRAGMA secure_delete", false);
    if (query.step()) before_ = query.int64(0);
    set("ON");
  }
  SecureDelete(const SecureDelete&) = delete;
  SecureDelete& operator=(const SecureDelete&) = delete;
  ~SecureDelete() {
    try {
      set(before_ == 0 ? "OFF" : before_ == 1 ? "ON" : "FAST");
    } catch (const Error&) {  // It stays on, which costs time only.
    }
  }

 private:
  void set(std::string_view mode) {
    Statement(session_.handle(), "PRAGMA secure_delete = " + std::string(mode), false).run();
  }

  Session& session_;
  std::int64_t before_ = 0;
};

// --- Seals

constexpr std::string_view seal_columns =
    "SELECT seal_number, after_position, to_position, events, root, seal_hash FROM log_seals";

LogSeal seal_row(const Statement& row) {
  LogSeal seal;
  seal.number = row.int64(0);
  seal.after = Position(row.int64(1));
  seal.to = Position(row.int64(2));
  seal.events = row.int64(3);
  seal.root = hash_of(backend_name, row.blob(4));
  seal.hash = hash_of(backend_name, row.blob(5));
  return seal;
}

EventHash hash_row(const Statement& row) {
  return {Position(row.int64(0)), hash_of(backend_name, row.blob(1)), hash_of(backend_name, row.blob(2))};
}

}  // namespace

std::int64_t event_types_revision(Session& session, const std::string& tenant) {
  const Use query = session.use("SELECT coalesce(sum(revision), 0) FROM event_type_rules WHERE tenant_id = ?1");
  query->bind(1, tenant);
  query->step();
  return query->int64(0);
}

driver::EventTypes list_event_types(Session& session, const std::string& tenant) {
  driver::EventTypes types;
  {
    const Use query = session.use(
        "SELECT event_type, schema_mode, masked, mask_contexts, keep_days, revision FROM event_type_rules "
        "WHERE tenant_id = ?1 ORDER BY event_type");
    query->bind(1, tenant);
    while (query->step()) {
      EventTypeRules& rules = types.rules.emplace_back();
      rules.tenant = tenant;
      rules.event_type = query->text(0);
      rules.schema_mode = soci_backend::schema_mode(backend_name, query->text(1));
      rules.masked = soci_backend::masked_from_json(backend_name, query->text(2));
      rules.mask_contexts = query->int64(3) != 0;
      if (!query->is_null(4)) rules.keep_days = static_cast<std::int32_t>(query->int64(4));
      types.revision += query->int64(5);
    }
  }
  const Use query = session.use(
      "SELECT event_type, event_version, schema_text, recorded_at FROM event_schemas WHERE tenant_id = ?1 "
      "ORDER BY event_type, event_version");
  query->bind(1, tenant);
  while (query->step()) {
    types.schemas.push_back({tenant,
                             {std::string(query->text(0)), static_cast<std::int32_t>(query->int64(1))},
                             std::string(query->text(2)),
                             query->time(3)});
  }
  return types;
}

bool add_schema(Session& session, const EventSchema& schema) {
  if (has_schema(session, schema.tenant, schema.form)) return false;
  {
    const Use insert = session.use(
        "INSERT INTO event_schemas (tenant_id, event_type, event_version, schema_text, recorded_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5)");
    bind(*insert, 1, schema.tenant, schema.form);
    insert->bind(4, schema.text);
    insert->bind(5, Timestamp::now());
    insert->step();
  }
  move_revision(session, schema.tenant, schema.form.type);
  return true;
}

bool remove_schema(Session& session, const std::string& tenant, const EventForm& form) {
  if (!has_schema(session, tenant, form)) return false;
  if (has_event(session, tenant, form)) {
    throw make_error(ErrorCode::invalid_argument, "there are events of type '" + form.type + "', version " +
                                                      std::to_string(form.event_version) + ": its schema stays");
  }
  {
    const Use remove =
        session.use("DELETE FROM event_schemas WHERE tenant_id = ?1 AND event_type = ?2 AND event_version = ?3");
    bind(*remove, 1, tenant, form);
    remove->step();
  }
  move_revision(session, tenant, form.type);
  return true;
}

void set_type_rules(Session& session, const EventTypeRules& rules) {
  const std::string masked = soci_backend::masked_to_json(rules.masked);
  const auto write = [&](std::string_view sql) {
    const Use statement = session.use(sql);
    statement->bind(1, rules.tenant);
    statement->bind(2, rules.event_type);
    statement->bind(3, to_string(rules.schema_mode));
    statement->bind(4, masked);
    statement->bind(5, std::int64_t{rules.mask_contexts});
    if (rules.keep_days) {
      statement->bind(6, std::int64_t{*rules.keep_days});
    } else {
      statement->bind_null(6);
    }
    statement->bind(7, Timestamp::now());
    statement->step();
    return changed(session);
  };
  if (write("UPDATE event_type_rules SET schema_mode = ?3, masked = ?4, mask_contexts = ?5, keep_days = ?6, "
            "revision = revision + 1, updated_at = ?7 WHERE tenant_id = ?1 AND event_type = ?2")) {
    return;
  }
  write(
      "INSERT INTO event_type_rules (tenant_id, event_type, schema_mode, masked, mask_contexts, keep_days, updated_at) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
}

bool add_subject_key(Session& session, const SubjectKey& key) {
  if (find_subject_key(session, key.tenant, key.subject)) return false;
  {
    const Use known = session.use("SELECT 1 FROM subject_keys WHERE key_id = ?1");
    known->bind(1, key.key_id);
    if (known->step()) return false;
  }
  const Use insert = session.use(
      "INSERT INTO subject_keys (key_id, tenant_id, subject, master_key_id, wrapped, created_at) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
  insert->bind(1, key.key_id);
  insert->bind(2, key.tenant);
  insert->bind(3, key.subject);
  insert->bind(4, key.wrapped.value().master_key_id);
  insert->bind_blob(5, key.wrapped->bytes.data(), key.wrapped->bytes.size());
  insert->bind(6, Timestamp::now());
  insert->step();
  return true;
}

std::optional<SubjectKey> find_subject_key(Session& session, const std::string& tenant, const std::string& subject) {
  const Use query = session.use(std::string(key_columns) + "tenant_id = ?1 AND subject = ?2");
  query->bind(1, tenant);
  query->bind(2, subject);
  if (!query->step()) return std::nullopt;
  return key_row(*query);
}

std::vector<SubjectKey> find_subject_keys(Session& session, const std::string& tenant, std::span<const Uuid> key_ids) {
  std::vector<SubjectKey> keys;
  const Use query = session.use(std::string(key_columns) + "key_id = ?1 AND +tenant_id = ?2");
  for (const Uuid& key_id : key_ids) {
    query->reset();
    query->bind(1, key_id);
    query->bind(2, tenant);
    if (query->step()) keys.push_back(key_row(*query));
  }
  return keys;
}

std::vector<SubjectKey> list_subject_keys(Session& session, const std::string& tenant, const std::optional<Uuid>& after,
                                          std::size_t limit) {
  std::string sql = std::string(key_columns) + "tenant_id = ?1";
  if (after) sql += " AND key_id > ?2";
  const Use query = session.use(sql + " ORDER BY key_id LIMIT ?3");
  query->bind(1, tenant);
  if (after) query->bind(2, *after);
  query->bind(3, as_limit(limit));
  std::vector<SubjectKey> keys;
  while (query->step()) keys.push_back(key_row(*query));
  return keys;
}

std::vector<std::string> list_key_tenants(Session& session) {
  const Use query = session.use("SELECT DISTINCT tenant_id FROM subject_keys");
  std::vector<std::string> tenants;
  while (query->step()) tenants.emplace_back(query->text(0));
  return tenants;
}

bool rewrap_subject_key(Session& session, const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                        const WrappedKey& to) {
  const SecureDelete secure(session);
  const Use update = session.use(
      "UPDATE subject_keys SET master_key_id = ?3, wrapped = ?4 WHERE key_id = ?1 AND +tenant_id = ?2 "
      "AND master_key_id = ?5 AND wrapped = ?6");
  update->bind(1, key_id);
  update->bind(2, tenant);
  update->bind(3, to.master_key_id);
  update->bind_blob(4, to.bytes.data(), to.bytes.size());
  update->bind(5, from.master_key_id);
  update->bind_blob(6, from.bytes.data(), from.bytes.size());
  update->step();
  return changed(session);
}

bool destroy_subject_key(Session& session, const std::string& tenant, const Uuid& key_id) {
  const SecureDelete secure(session);
  const Use update = session.use(
      "UPDATE subject_keys SET master_key_id = NULL, wrapped = NULL, destroyed_at = ?3 "
      "WHERE key_id = ?1 AND +tenant_id = ?2 AND destroyed_at IS NULL");
  update->bind(1, key_id);
  update->bind(2, tenant);
  update->bind(3, Timestamp::now());
  update->step();
  return changed(session);
}

bool forget_subject(Session& session, const std::string& tenant, const Uuid& key_id) {
  const SecureDelete secure(session);
  const Use update = session.use(
      "UPDATE subject_keys SET subject = NULL WHERE key_id = ?1 AND +tenant_id = ?2 AND subject IS NOT NULL "
      "AND destroyed_at IS NOT NULL");
  update->bind(1, key_id);
  update->bind(2, tenant);
  update->step();
  return changed(session);
}

bool add_seal(Session& session, const LogSeal& seal, std::span<const EventHash> hashes) {
  const std::optional<LogSeal> last = last_seal(session);
  if (seal.number != (last ? last->number : 0) + 1) return false;
  {
    const Use insert = session.use(
        "INSERT INTO log_seals (seal_number, after_position, to_position, events, root, seal_hash, sealed_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    insert->bind(1, seal.number);
    insert->bind(2, seal.after.value());
    insert->bind(3, seal.to.value());
    insert->bind(4, seal.events);
    bind(*insert, 5, seal.root);
    bind(*insert, 6, seal.hash);
    insert->bind(7, Timestamp::now());
    insert->step();
  }
  const Use insert = session.use("INSERT INTO event_hashes (global_position, content_hash, link) VALUES (?1, ?2, ?3)");
  for (const EventHash& hash : hashes) {
    insert->bind(1, hash.position.value());
    bind(*insert, 2, hash.content);
    bind(*insert, 3, hash.link);
    insert->run();
  }
  return true;
}

std::optional<LogSeal> last_seal(Session& session) {
  const Use query = session.use(std::string(seal_columns) + " ORDER BY seal_number DESC LIMIT 1");
  if (!query->step()) return std::nullopt;
  return seal_row(*query);
}

std::vector<LogSeal> list_seals(Session& session, std::int64_t after, std::size_t limit) {
  const Use query = session.use(std::string(seal_columns) + " WHERE seal_number > ?1 ORDER BY seal_number LIMIT ?2");
  query->bind(1, after);
  query->bind(2, as_limit(limit));
  std::vector<LogSeal> seals;
  while (query->step()) seals.push_back(seal_row(*query));
  return seals;
}

std::vector<EventHash> read_hashes(Session& session, Position after, Position to, std::size_t limit) {
  const Use query = session.use(
      "SELECT global_position, content_hash, link FROM event_hashes WHERE global_position > ?1 "
      "AND global_position <= ?2 ORDER BY global_position LIMIT ?3");
  query->bind(1, after.value());
  query->bind(2, to.value());
  query->bind(3, as_limit(limit));
  std::vector<EventHash> hashes;
  while (query->step()) hashes.push_back(hash_row(*query));
  return hashes;
}

std::vector<std::optional<EventHash>> find_hashes(Session& session, std::span<const driver::EventPlace> places) {
  const Use query = session.use(
      "SELECT h.global_position, h.content_hash, h.link FROM events AS e "
      "CROSS JOIN event_hashes AS h ON h.global_position = e.global_position "
      "WHERE e.stream_no = ?1 AND e.stream_version = ?2");
  std::vector<std::optional<EventHash>> hashes;
  hashes.reserve(places.size());
  for (const driver::EventPlace& place : places) {
    std::optional<EventHash>& hash = hashes.emplace_back();
    const std::optional<std::int64_t> stream_no = find_stream_no(session, place.stream);
    if (!stream_no) continue;
    query->reset();
    query->bind(1, *stream_no);
    query->bind(2, place.version.value());
    if (query->step()) hash = hash_row(*query);
  }
  return hashes;
}

}  // namespace stele::sqlite
