#include "governance.h"

#include <algorithm>
#include <limits>

#include "errors.h"
#include "stele_soci/governance_values.h"

namespace stele::postgres {
namespace {

using driver::EventHash;
using soci_backend::bytes_of;
using soci_backend::hash_of;

std::int64_t as_limit(std::size_t limit) {
  return static_cast<std::int64_t>(std::min(limit, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())));
}

Parameters form_of(const std::string& tenant, const EventForm& form) {
  Parameters parameters;
  parameters.add(Type::text, tenant).add(Type::text, form.type).add(Type::int4, form.event_version);
  return parameters;
}

Parameters key_of(const std::string& tenant, const Uuid& key_id) {
  Parameters parameters;
  parameters.add(Type::text, tenant).add(Type::uuid, key_id);
  return parameters;
}

/// Whether the statement, which returns a row for each that it changed, has changed one.
bool changes(Session& session, std::string_view sql, const Parameters& parameters) {
  return session.execute(sql, parameters).rows() > 0;
}

// --- Subject keys

constexpr std::string_view key_columns =
    "SELECT key_id, tenant_id, subject, master_key_id, wrapped, created_at, destroyed_at FROM subject_keys WHERE ";

std::vector<SubjectKey> find_keys(Session& session, const std::string& condition, const Parameters& parameters) {
  const Result rows = session.execute(std::string(key_columns) + condition, parameters);
  std::vector<SubjectKey> keys;
  for (int row = 0; row < rows.rows(); ++row) {
    SubjectKey& key = keys.emplace_back();
    key.key_id = rows.uuid(row, 0);
    key.tenant = rows.text(row, 1);
    if (!rows.is_null(row, 2)) key.subject = rows.text(row, 2);
    if (!rows.is_null(row, 4)) {
      key.wrapped = WrappedKey{std::string(rows.text(row, 3)), std::string(rows.text(row, 4))};
    }
    key.created_at = rows.time(row, 5);
    if (!rows.is_null(row, 6)) key.destroyed_at = rows.time(row, 6);
  }
  return keys;
}

// --- Seals

constexpr std::string_view seal_columns =
    "SELECT seal_number, after_position, to_position, events, root, seal_hash FROM log_seals ";

std::vector<LogSeal> find_seals(Session& session, const std::string& rest, const Parameters& parameters) {
  const Result rows = session.execute(std::string(seal_columns) + rest, parameters);
  std::vector<LogSeal> seals;
  for (int row = 0; row < rows.rows(); ++row) {
    seals.push_back({rows.integer(row, 0), Position(rows.integer(row, 1)), Position(rows.integer(row, 2)),
                     rows.integer(row, 3), hash_of(backend_name, rows.text(row, 4)),
                     hash_of(backend_name, rows.text(row, 5))});
  }
  return seals;
}

std::vector<EventHash> hash_rows(const Result& rows) {
  std::vector<EventHash> hashes;
  hashes.reserve(static_cast<std::size_t>(rows.rows()));
  for (int row = 0; row < rows.rows(); ++row) {
    hashes.push_back({Position(rows.integer(row, 0)), hash_of(backend_name, rows.text(row, 1)),
                      hash_of(backend_name, rows.text(row, 2))});
  }
  return hashes;
}

}  // namespace

std::int64_t event_types_revision(Session& session, const std::string& tenant) {
  return session
      .execute("SELECT coalesce(sum(revision), 0)::bigint FROM event_type_rules WHERE tenant_id = $1",
               Parameters().add(Type::text, tenant))
      .integer(0, 0);
}

// The rules first, and with them the revision: what is changed between the two statements shows with a later one.
driver::EventTypes list_event_types(Session& session, const std::string& tenant) {
  const Parameters parameters = Parameters().add(Type::text, tenant);
  driver::EventTypes types;
  const Result rules = session.execute(
      "SELECT event_type, schema_mode, masked, mask_contexts, keep_days, revision FROM event_type_rules "
      "WHERE tenant_id = $1 ORDER BY event_type",
      parameters);
  for (int row = 0; row < rules.rows(); ++row) {
    EventTypeRules& one = types.rules.emplace_back();
    one.tenant = tenant;
    one.event_type = rules.text(row, 0);
    one.schema_mode = soci_backend::schema_mode(backend_name, rules.text(row, 1));
    one.masked = soci_backend::masked_from_json(backend_name, rules.json(row, 2));
    one.mask_contexts = rules.boolean(row, 3);
    if (!rules.is_null(row, 4)) one.keep_days = static_cast<std::int32_t>(rules.integer(row, 4));
    types.revision += rules.integer(row, 5);
  }
  const Result schemas = session.execute(
      "SELECT event_type, event_version, schema_text, recorded_at FROM event_schemas WHERE tenant_id = $1 "
      "ORDER BY event_type, event_version",
      parameters);
  for (int row = 0; row < schemas.rows(); ++row) {
    types.schemas.push_back({tenant,
                             {std::string(schemas.text(row, 0)), static_cast<std::int32_t>(schemas.integer(row, 1))},
                             std::string(schemas.text(row, 2)),
                             schemas.time(row, 3)});
  }
  return types;
}

bool add_schema(Session& session, const EventSchema& schema) {
  Parameters parameters = form_of(schema.tenant, schema.form);
  parameters.add(Type::text, schema.text);
  return changes(session,
                 "WITH added AS (INSERT INTO event_schemas (tenant_id, event_type, event_version, schema_text, "
                 "recorded_at) VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING 1) "
                 "INSERT INTO event_type_rules AS r (tenant_id, event_type, updated_at) "
                 "SELECT $1, $2, clock_timestamp() FROM added ON CONFLICT (tenant_id, event_type) "
                 "DO UPDATE SET revision = r.revision + 1, updated_at = excluded.updated_at RETURNING true",
                 parameters);
}

bool remove_schema(Session& session, const std::string& tenant, const EventForm& form) {
  const auto refuse = [&] {
    throw make_error(ErrorCode::invalid_argument, "there are events of type '" + form.type + "', version " +
                                                      std::to_string(form.event_version) + ": its schema stays");
  };
  const Parameters parameters = form_of(tenant, form);
  try {
    const Result answer = session.execute(
        "WITH of_form AS (SELECT EXISTS (SELECT FROM events AS e WHERE e.event_type = $2 AND e.tenant_id = $1 "
        "AND e.event_version = $3) AS used), "
        "gone AS (DELETE FROM event_schemas AS s WHERE s.tenant_id = $1 AND s.event_type = $2 "
        "AND s.event_version = $3 AND NOT (SELECT used FROM of_form) RETURNING 1), "
        "moved AS (INSERT INTO event_type_rules AS r (tenant_id, event_type, updated_at) "
        "SELECT $1, $2, clock_timestamp() FROM gone ON CONFLICT (tenant_id, event_type) "
        "DO UPDATE SET revision = r.revision + 1, updated_at = excluded.updated_at RETURNING 1) "
        "SELECT EXISTS (SELECT FROM moved), (SELECT used FROM of_form) AND EXISTS (SELECT FROM event_schemas AS s "
        "WHERE s.tenant_id = $1 AND s.event_type = $2 AND s.event_version = $3)",
        parameters);
    if (answer.boolean(0, 1)) refuse();
    return answer.boolean(0, 0);
  } catch (const Error& error) {
    if (error.sqlstate() != "23001") throw;
    refuse();  // The trigger has seen one that came meanwhile.
  }
  return false;
}

void set_type_rules(Session& session, const EventTypeRules& rules) {
  session.execute(
      "INSERT INTO event_type_rules AS r (tenant_id, event_type, schema_mode, masked, mask_contexts, keep_days, "
      "updated_at) VALUES ($1, $2, $3, $4::jsonb, $5, $6, clock_timestamp()) ON CONFLICT (tenant_id, event_type) "
      "DO UPDATE SET schema_mode = excluded.schema_mode, masked = excluded.masked, "
      "mask_contexts = excluded.mask_contexts, keep_days = excluded.keep_days, revision = r.revision + 1, "
      "updated_at = excluded.updated_at",
      Parameters()
          .add(Type::text, rules.tenant)
          .add(Type::text, rules.event_type)
          .add(Type::text, to_string(rules.schema_mode))
          .add(Type::text, soci_backend::masked_to_json(rules.masked))
          .add(Type::boolean, rules.mask_contexts)
          .add(Type::int4, rules.keep_days));
}

bool add_subject_key(Session& session, const SubjectKey& key) {
  return changes(session,
                 "INSERT INTO subject_keys (key_id, tenant_id, subject, master_key_id, wrapped, created_at) "
                 "VALUES ($1, $2, $3, $4, $5, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING true",
                 Parameters()
                     .add(Type::uuid, key.key_id)
                     .add(Type::text, key.tenant)
                     .add(Type::text, key.subject)
                     .add(Type::text, key.wrapped.value().master_key_id)
                     .add(Type::bytea, key.wrapped->bytes));
}

std::optional<SubjectKey> find_subject_key(Session& session, const std::string& tenant, const std::string& subject) {
  std::vector<SubjectKey> found = find_keys(session, "tenant_id = $1 AND subject = $2",
                                            Parameters().add(Type::text, tenant).add(Type::text, subject));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

std::vector<SubjectKey> find_subject_keys(Session& session, const std::string& tenant, std::span<const Uuid> key_ids) {
  Array ids(Type::uuid);
  for (const Uuid& key_id : key_ids) ids.add(key_id);
  return find_keys(session, "tenant_id = $1 AND key_id = ANY ($2)", Parameters().add(Type::text, tenant).add(ids));
}

std::vector<SubjectKey> list_subject_keys(Session& session, const std::string& tenant, const std::optional<Uuid>& after,
                                          std::size_t limit) {
  Parameters parameters;
  parameters.add(Type::text, tenant).add(Type::int8, as_limit(limit));
  std::string condition = "tenant_id = $1";
  if (after) {
    condition += " AND key_id > $3";
    parameters.add(Type::uuid, *after);
  }
  return find_keys(session, condition + " ORDER BY key_id LIMIT $2", parameters);
}

std::vector<std::string> list_key_tenants(Session& session) {
  const Result rows = session.execute("SELECT DISTINCT tenant_id FROM subject_keys", Parameters());
  std::vector<std::string> tenants;
  for (int row = 0; row < rows.rows(); ++row) tenants.emplace_back(rows.text(row, 0));
  return tenants;
}

bool rewrap_subject_key(Session& session, const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                        const WrappedKey& to) {
  return changes(session,
                 "UPDATE subject_keys SET master_key_id = $3, wrapped = $4 WHERE tenant_id = $1 AND key_id = $2 "
                 "AND master_key_id = $5 AND wrapped = $6 RETURNING true",
                 key_of(tenant, key_id)
                     .add(Type::text, to.master_key_id)
                     .add(Type::bytea, to.bytes)
                     .add(Type::text, from.master_key_id)
                     .add(Type::bytea, from.bytes));
}

bool destroy_subject_key(Session& session, const std::string& tenant, const Uuid& key_id) {
  return changes(session,
                 "UPDATE subject_keys SET master_key_id = NULL, wrapped = NULL, destroyed_at = clock_timestamp() "
                 "WHERE tenant_id = $1 AND key_id = $2 AND destroyed_at IS NULL RETURNING true",
                 key_of(tenant, key_id));
}

bool forget_subject(Session& session, const std::string& tenant, const Uuid& key_id) {
  return changes(session,
                 "UPDATE subject_keys SET subject = NULL WHERE tenant_id = $1 AND key_id = $2 "
                 "AND subject IS NOT NULL AND destroyed_at IS NOT NULL RETURNING true",
                 key_of(tenant, key_id));
}

// Of two that add a seal of the same number, the second waits for the first one and then has a conflict.
bool add_seal(Session& session, const LogSeal& seal, std::span<const EventHash> hashes) {
  Array positions(Type::int8);
  Array contents(Type::bytea);
  Array links(Type::bytea);
  for (const EventHash& hash : hashes) {
    positions.add(hash.position.value());
    contents.add(bytes_of(hash.content));
    links.add(bytes_of(hash.link));
  }
  return session
      .execute(
          "WITH sealed AS (INSERT INTO log_seals (seal_number, after_position, to_position, events, root, seal_hash, "
          "sealed_at) SELECT $1, $2, $3, $4, $5, $6, clock_timestamp() "
          "WHERE $1 = 1 + coalesce((SELECT max(seal_number) FROM log_seals), 0) "
          "ON CONFLICT DO NOTHING RETURNING 1), "
          "hashed AS (INSERT INTO event_hashes (global_position, content_hash, link) "
          "SELECT h.position, h.content, h.link FROM unnest($7, $8, $9) AS h (position, content, link) "
          "WHERE EXISTS (SELECT FROM sealed)) "
          "SELECT EXISTS (SELECT FROM sealed)",
          Parameters()
              .add(Type::int8, seal.number)
              .add(Type::int8, seal.after.value())
              .add(Type::int8, seal.to.value())
              .add(Type::int8, seal.events)
              .add(Type::bytea, bytes_of(seal.root))
              .add(Type::bytea, bytes_of(seal.hash))
              .add(positions)
              .add(contents)
              .add(links))
      .boolean(0, 0);
}

std::optional<LogSeal> last_seal(Session& session) {
  const std::vector<LogSeal> found = find_seals(session, "ORDER BY seal_number DESC LIMIT 1", {});
  if (found.empty()) return std::nullopt;
  return found.front();
}

std::vector<LogSeal> list_seals(Session& session, std::int64_t after, std::size_t limit) {
  return find_seals(session, "WHERE seal_number > $1 ORDER BY seal_number LIMIT $2",
                    Parameters().add(Type::int8, after).add(Type::int8, as_limit(limit)));
}

std::vector<EventHash> read_hashes(Session& session, Position after, Position to, std::size_t limit) {
  return hash_rows(session.execute(
      "SELECT global_position, content_hash, link FROM event_hashes WHERE global_position > $1 "
      "AND global_position <= $2 ORDER BY global_position LIMIT $3",
      Parameters().add(Type::int8, after.value()).add(Type::int8, to.value()).add(Type::int8, as_limit(limit))));
}

std::vector<std::optional<EventHash>> find_hashes(Session& session, std::span<const driver::EventPlace> places) {
  Array tenants(Type::text), types(Type::text), ids(Type::text), versions(Type::int8);
  for (const driver::EventPlace& place : places) {
    tenants.add(place.stream.tenant);
    types.add(place.stream.type);
    ids.add(place.stream.id);
    versions.add(place.version.value());
  }
  // One look into each index for each place, however few rows the planner believes in.
  const Result rows = session.execute(
      "SELECT h.global_position, h.content_hash, h.link, p.place FROM "
      "unnest($1, $2, $3, $4) WITH ORDINALITY AS p (tenant_id, stream_type, stream_id, stream_version, place) "
      "CROSS JOIN LATERAL (SELECT i.global_position, i.content_hash, i.link FROM event_hashes AS i "
      "WHERE i.global_position = (SELECT e.global_position FROM events AS e WHERE e.stream_version = p.stream_version "
      "AND e.stream_no = (SELECT s.stream_no FROM streams AS s WHERE s.tenant_id = p.tenant_id "
      "AND s.stream_type = p.stream_type AND s.stream_id = p.stream_id)) OFFSET 0) AS h",
      Parameters().add(tenants).add(types).add(ids).add(versions));
  const std::vector<EventHash> found = hash_rows(rows);
  std::vector<std::optional<EventHash>> hashes(places.size());
  for (std::size_t row = 0; row < found.size(); ++row) {
    hashes[static_cast<std::size_t>(rows.integer(static_cast<int>(row), 3) - 1)] = found[row];
  }
  return hashes;
}

}  // namespace stele::postgres
