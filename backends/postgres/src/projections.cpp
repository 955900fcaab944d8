#include "projections.h"

#include "errors.h"

namespace stele::postgres {
namespace {

using driver::DeadLetter;
using driver::Lease;
using driver::PartKey;
using driver::PartState;
using driver::ProjectionKey;
using driver::ProjectionKind;
using driver::ProjectionState;
using std::chrono::milliseconds;

// $1 and $2; $1 … $4.
Parameters parameters_of(const ProjectionKey& key) {
  Parameters parameters;
  parameters.add(Type::text, key.name).add(Type::text, key.tenant);
  return parameters;
}

Parameters parameters_of(const PartKey& key) {
  Parameters parameters = parameters_of(key.projection);
  parameters.add(Type::int4, key.generation).add(Type::int4, key.part);
  return parameters;
}

std::int64_t micros(milliseconds time) {
  return std::chrono::microseconds(time).count();
}

constexpr std::string_view begin_of_states = "SELECT p.projection_name, p.tenant_id, p.parts, p.active_generation, ";
constexpr std::string_view count_of_dead_letters =
    "(SELECT count(*) FROM dead_letters AS d WHERE d.projection_name = p.projection_name "
    "AND d.tenant_id = p.tenant_id AND (o.generation, o.part) = (p.active_generation, 0))";
// Behind the count, or 0. How long a lease is believed: see driver::longest_lease.
constexpr std::string_view end_of_states =
    ", o.generation, o.part, o.last_position, o.holder, o.leased_until, coalesce(o.leased_until > clock_timestamp() "
    "AND o.leased_until <= clock_timestamp() + interval '1 hour', false), o.fence, o.updated_at, p.kind "
    "FROM projections AS p JOIN projection_offsets AS o USING (projection_name, tenant_id) ";
static_assert(driver::longest_lease == std::chrono::hours(1));
constexpr std::string_view in_order = "ORDER BY p.projection_name, p.tenant_id, o.generation, o.part";

std::vector<ProjectionState> read_states(const Result& rows) {
  std::vector<ProjectionState> found;
  for (int row = 0; row < rows.rows(); ++row) {
    ProjectionKey key{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))};
    if (found.empty() || found.back().key != key) {
      found.push_back({std::move(key),
                       static_cast<std::int32_t>(rows.integer(row, 2)),
                       static_cast<std::int32_t>(rows.integer(row, 3)),
                       {},
                       0});
      if (!rows.is_null(row, 13)) found.back().kind = driver::parse_projection_kind(rows.text(row, 13));
    }
    found.back().dead_letters += rows.integer(row, 4);  // In one row of each projection.
    PartState& part = found.back().checkpoints.emplace_back();
    part.key = {found.back().key, static_cast<std::int32_t>(rows.integer(row, 5)),
                static_cast<std::int32_t>(rows.integer(row, 6))};
    part.position = Position(rows.integer(row, 7));
    part.holder = rows.text(row, 8);
    if (!rows.is_null(row, 9)) part.leased_until = rows.time(row, 9);
    part.leased = rows.boolean(row, 10);
    part.fence = rows.integer(row, 11);
    part.updated_at = rows.time(row, 12);
  }
  return found;
}

/// Others that make, switch or remove generations wait until the transaction is over.
struct Locked {
  std::int32_t parts;
  std::int32_t active_generation;
};
std::optional<Locked> lock(Session& session, const ProjectionKey& key) {
  const Result row = session.execute(
      "SELECT parts, active_generation FROM projections WHERE projection_name = $1 AND tenant_id = $2 "
      "FOR NO KEY UPDATE",
      parameters_of(key));
  if (row.rows() == 0) return std::nullopt;
  return Locked{static_cast<std::int32_t>(row.integer(0, 0)), static_cast<std::int32_t>(row.integer(0, 1))};
}

}  // namespace

ProjectionState open_projection(Session& session, const ProjectionKey& key, std::int32_t parts, Position start,
                                ProjectionKind kind) {
  for (;;) {
    if (auto found = find_projection(session, key)) {
      driver::expect_same_use(*found, parts, kind);
      if (found->kind) return std::move(*found);
      session.execute("UPDATE projections SET kind = $3 WHERE projection_name = $1 AND tenant_id = $2 AND kind IS NULL",
                      parameters_of(key).add(Type::text, to_string(kind)));
      continue;
    }
    session.execute(
        "WITH made AS (INSERT INTO projections (projection_name, tenant_id, parts, created_at, kind) "
        "VALUES ($1, $2, $3, clock_timestamp(), $5) ON CONFLICT DO NOTHING RETURNING parts) "
        "INSERT INTO projection_offsets (projection_name, tenant_id, generation, part, last_position, updated_at) "
        "SELECT $1, $2, 1, n, $4, clock_timestamp() FROM made, generate_series(0, made.parts - 1) AS n",
        parameters_of(key).add(Type::int4, parts).add(Type::int8, start.value()).add(Type::text, to_string(kind)));
  }
}

bool change_kind(Session& session, const ProjectionKey& key, ProjectionKind from, ProjectionKind to) {
  return session
             .execute(
                 "UPDATE projections SET kind = $4 WHERE projection_name = $1 AND tenant_id = $2 AND kind = $3 "
                 "RETURNING true",
                 parameters_of(key).add(Type::text, to_string(from)).add(Type::text, to_string(to)))
             .rows() > 0;
}

std::optional<ProjectionState> find_projection(Session& session, const ProjectionKey& key) {
  static const std::string sql = std::string(begin_of_states) + "0::bigint" + std::string(end_of_states) +
                                 "WHERE p.projection_name = $1 AND p.tenant_id = $2 " + std::string(in_order);
  std::vector<ProjectionState> found = read_states(session.execute(sql, parameters_of(key)));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

std::vector<ProjectionState> list_projections(Session& session) {
  static const std::string sql = std::string(begin_of_states) + std::string(count_of_dead_letters) +
                                 std::string(end_of_states) + std::string(in_order);
  return read_states(session.execute(sql));
}

std::int32_t add_generation(Session& session, const ProjectionKey& key) {
  Transaction transaction(session, "BEGIN");
  const std::optional<Locked> projection = lock(session, key);
  if (!projection) throw make_error(ErrorCode::not_found, "there is no projection '" + key.name + "'");
  // A new statement sees what was made while this one waited for the lock.
  const Result row = session.execute(
      "INSERT INTO projection_offsets (projection_name, tenant_id, generation, part, updated_at) "
      "SELECT $1, $2, (SELECT max(o.generation) + 1 FROM projection_offsets AS o WHERE o.projection_name = $1 "
      "AND o.tenant_id = $2), n, clock_timestamp() FROM generate_series(0, $3 - 1) AS n RETURNING generation",
      parameters_of(key).add(Type::int4, projection->parts));
  transaction.commit();
  return static_cast<std::int32_t>(row.integer(0, 0));
}

void remove_generation(Session& session, const ProjectionKey& key, std::int32_t generation) {
  Transaction transaction(session, "BEGIN");
  const std::optional<Locked> projection = lock(session, key);
  if (!projection) return;
  if (projection->active_generation == generation) {
    throw make_error(ErrorCode::invalid_argument, "generation " + std::to_string(generation) + " is the active one");
  }
  session.execute("DELETE FROM projection_offsets WHERE projection_name = $1 AND tenant_id = $2 AND generation = $3",
                  parameters_of(key).add(Type::int4, generation));
  transaction.commit();
}

void remove_projection(Session& session, const ProjectionKey& key) {
  session.execute("DELETE FROM projections WHERE projection_name = $1 AND tenant_id = $2", parameters_of(key));
}

std::optional<Lease> acquire_lease(Session& session, const PartKey& key, const std::string& holder, milliseconds time) {
  // The clock's value is higher than any fence of a checkpoint of this name that was removed.
  const Result row = session.execute(
      "UPDATE projection_offsets SET holder = $5, leased_until = clock_timestamp() + $6 * interval '1 microsecond', "
      "fence = greatest(fence + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) "
      "WHERE projection_name = $1 AND tenant_id = $2 AND generation = $3 AND part = $4 "
      "AND (leased_until IS NULL OR leased_until <= clock_timestamp() OR holder = $5 "
      "OR leased_until > clock_timestamp() + $7 * interval '1 microsecond') RETURNING fence, last_position",
      parameters_of(key)
          .add(Type::text, holder)
          .add(Type::int8, micros(time))
          .add(Type::int8, micros(driver::longest_lease)));
  if (row.rows() == 0) return std::nullopt;
  return Lease{key, holder, row.integer(0, 0), Position(row.integer(0, 1))};
}

bool renew_lease(Session& session, const Lease& lease, milliseconds time) {
  return session
             .execute(
                 "UPDATE projection_offsets SET leased_until = clock_timestamp() + $6 * interval '1 microsecond' "
                 "WHERE projection_name = $1 AND tenant_id = $2 AND generation = $3 AND part = $4 AND fence = $5 "
                 "AND leased_until IS NOT NULL RETURNING true",
                 parameters_of(lease.key).add(Type::int8, lease.fence).add(Type::int8, micros(time)))
             .rows() > 0;
}

void release_lease(Session& session, const Lease& lease) {
  session.execute(
      "UPDATE projection_offsets SET leased_until = NULL WHERE projection_name = $1 AND tenant_id = $2 "
      "AND generation = $3 AND part = $4 AND fence = $5",
      parameters_of(lease.key).add(Type::int8, lease.fence));
}

std::int32_t announce_member(Session& session, const ProjectionKey& key, const std::string& member, milliseconds time) {
  if (time <= milliseconds(0)) {
    session.execute("DELETE FROM projection_members WHERE projection_name = $1 AND tenant_id = $2 AND member = $3",
                    parameters_of(key).add(Type::text, member));
  } else {
    session.execute(
        "INSERT INTO projection_members (projection_name, tenant_id, member, present_until) "
        "SELECT projection_name, tenant_id, $3, clock_timestamp() + $4 * interval '1 microsecond' FROM projections "
        "WHERE projection_name = $1 AND tenant_id = $2 FOR KEY SHARE ON CONFLICT (projection_name, tenant_id, member) "
        "DO UPDATE SET present_until = excluded.present_until",
        parameters_of(key).add(Type::text, member).add(Type::int8, micros(time)));
  }
  const Result count = session.execute(
      "WITH gone AS (DELETE FROM projection_members WHERE projection_name = $1 AND tenant_id = $2 "
      "AND (present_until <= clock_timestamp() "
      "OR present_until > clock_timestamp() + $3 * interval '1 microsecond')) "
      "SELECT count(*) FROM projection_members WHERE projection_name = $1 AND tenant_id = $2 "
      "AND present_until > clock_timestamp() "
      "AND present_until <= clock_timestamp() + $3 * interval '1 microsecond'",
      parameters_of(key).add(Type::int8, micros(driver::longest_lease)));
  return static_cast<std::int32_t>(count.integer(0, 0));
}

std::vector<DeadLetter> list_dead_letters(Session& session, const ProjectionKey& key, std::size_t limit) {
  const Result rows = session.execute(
      "SELECT generation, part, global_position, event_id, attempts, error, recorded_at FROM dead_letters "
      "WHERE projection_name = $1 AND tenant_id = $2 ORDER BY global_position, generation, part LIMIT $3",
      parameters_of(key).add(Type::int8, static_cast<std::int64_t>(limit)));
  std::vector<DeadLetter> letters;
  for (int row = 0; row < rows.rows(); ++row) {
    letters.push_back(
        {{key, static_cast<std::int32_t>(rows.integer(row, 0)), static_cast<std::int32_t>(rows.integer(row, 1))},
         Position(rows.integer(row, 2)),
         rows.uuid(row, 3),
         static_cast<std::int32_t>(rows.integer(row, 4)),
         std::string(rows.text(row, 5)),
         rows.time(row, 6)});
  }
  return letters;
}

bool remove_dead_letter(Session& session, const PartKey& key, Position position) {
  return session
             .execute(
                 "DELETE FROM dead_letters WHERE projection_name = $1 AND tenant_id = $2 AND generation = $3 "
                 "AND part = $4 AND global_position = $5 RETURNING true",
                 parameters_of(key).add(Type::int8, position.value()))
             .rows() > 0;
}

bool move_checkpoint(Session& session, const Lease& lease, Position to) {
  return session
             .execute(
                 "UPDATE projection_offsets SET last_position = $6, updated_at = clock_timestamp() "
                 "WHERE projection_name = $1 AND tenant_id = $2 AND generation = $3 AND part = $4 AND fence = $5 "
                 "AND last_position = $7 RETURNING true",
                 parameters_of(lease.key)
                     .add(Type::int8, lease.fence)
                     .add(Type::int8, to.value())
                     .add(Type::int8, lease.position.value()))
             .rows() > 0;
}

void add_dead_letter(Session& session, const DeadLetter& letter) {
  session.execute(
      "INSERT INTO dead_letters (projection_name, tenant_id, generation, part, global_position, event_id, attempts, "
      "error, recorded_at) SELECT projection_name, tenant_id, generation, part, $5, $6, $7, $8, clock_timestamp() "
      "FROM projection_offsets WHERE projection_name = $1 AND tenant_id = $2 AND generation = $3 AND part = $4 "
      "FOR KEY SHARE ON CONFLICT (projection_name, tenant_id, global_position, generation, part) DO UPDATE SET "
      "event_id = excluded.event_id, attempts = excluded.attempts, error = excluded.error, "
      "recorded_at = excluded.recorded_at",
      parameters_of(letter.key)
          .add(Type::int8, letter.position.value())
          .add(Type::uuid, letter.event_id)
          .add(Type::int4, letter.attempts)
          .add(Type::text, driver::storable_error(letter.error)));
}

bool activate(Session& session, const ProjectionKey& key, std::int32_t from, std::int32_t generation) {
  const Result switched = session.execute(
      "UPDATE projections AS p SET active_generation = $4 WHERE projection_name = $1 AND tenant_id = $2 "
      "AND active_generation = $3 AND EXISTS (SELECT FROM projection_offsets AS o WHERE o.projection_name = $1 "
      "AND o.tenant_id = $2 AND o.generation = $4) RETURNING true",
      parameters_of(key).add(Type::int4, from).add(Type::int4, generation));
  if (switched.rows() == 0) return false;
  session.execute("DELETE FROM projection_offsets WHERE projection_name = $1 AND tenant_id = $2 AND generation < $3",
                  parameters_of(key).add(Type::int4, generation));
  return true;
}

bool is_inline(Session& session, const ProjectionKey& key, std::int32_t generation) {
  return session
             .execute(
                 "SELECT true FROM projections WHERE projection_name = $1 AND tenant_id = $2 AND active_generation = "
                 "$3 "
                 "AND kind = 'inline'",
                 parameters_of(key).add(Type::int4, generation))
             .rows() > 0;
}

}  // namespace stele::postgres
