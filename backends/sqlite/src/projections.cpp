#include "projections.h"

#include <sqlite3.h>

#include "errors.h"

namespace stele::sqlite {
namespace {

using driver::DeadLetter;
using driver::Lease;
using driver::PartKey;
using driver::PartState;
using driver::ProjectionKey;
using driver::ProjectionKind;
using driver::ProjectionState;
using std::chrono::milliseconds;

// SQLite has no server: its clock is this machine's, which all processes at the file share.
Timestamp in(milliseconds time) {
  return Timestamp::from_micros(Timestamp::now().micros() + std::chrono::microseconds(time).count());
}

void bind(Statement& statement, const ProjectionKey& key) {
  statement.bind(1, key.name);
  statement.bind(2, key.tenant);
}

void bind(Statement& statement, const PartKey& key) {
  bind(statement, key.projection);
  statement.bind(3, std::int64_t{key.generation});
  statement.bind(4, std::int64_t{key.part});
}

/// Executes a statement and says whether it changed a row.
bool changes(Session& session, Statement& statement) {
  statement.step();
  return sqlite3_changes64(session.handle()) > 0;
}

constexpr std::string_view states =
    "SELECT p.projection_name, p.tenant_id, p.parts, p.active_generation, o.generation, o.part, o.last_position, "
    "o.holder, o.leased_until, o.fence, o.updated_at, p.kind FROM projections AS p CROSS JOIN projection_offsets AS o "
    "ON o.projection_name = p.projection_name AND o.tenant_id = p.tenant_id ";
constexpr std::string_view in_order = "ORDER BY p.projection_name, p.tenant_id, o.generation, o.part";

std::vector<ProjectionState> read_states(Statement& rows) {
  std::vector<ProjectionState> found;
  const Timestamp now = Timestamp::now();
  const Timestamp latest = in(driver::longest_lease);
  while (rows.step()) {
    ProjectionKey key{std::string(rows.text(0)), std::string(rows.text(1))};
    if (found.empty() || found.back().key != key) {
      found.push_back(
          {std::move(key), static_cast<std::int32_t>(rows.int64(2)), static_cast<std::int32_t>(rows.int64(3)), {}, 0});
      if (!rows.is_null(11)) found.back().kind = driver::parse_projection_kind(rows.text(11));
    }
    PartState& part = found.back().checkpoints.emplace_back();
    part.key = {found.back().key, static_cast<std::int32_t>(rows.int64(4)), static_cast<std::int32_t>(rows.int64(5))};
    part.position = Position(rows.int64(6));
    part.holder = rows.text(7);
    if (!rows.is_null(8)) part.leased_until = rows.time(8);
    part.leased = part.leased_until && *part.leased_until > now && *part.leased_until <= latest;
    part.fence = rows.int64(9);
    part.updated_at = rows.time(10);
  }
  return found;
}

void add_checkpoints(Session& session, const ProjectionKey& key, std::int32_t generation, std::int32_t parts,
                     Position start) {
  for (std::int32_t part = 0; part < parts; ++part) {
    const Use insert = session.use(
        "INSERT INTO projection_offsets (projection_name, tenant_id, generation, part, last_position, updated_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    const PartKey part_key{key, generation, part};  // Its text has to be there until the step.
    bind(*insert, part_key);
    insert->bind(5, start.value());
    insert->bind(6, Timestamp::now());
    insert->step();
  }
}

}  // namespace

std::optional<ProjectionState> find_projection(Session& session, const ProjectionKey& key) {
  static const std::string sql =
      std::string(states) + "WHERE p.projection_name = ?1 AND p.tenant_id = ?2 " + std::string(in_order);
  const Use query = session.use(sql);
  bind(*query, key);
  std::vector<ProjectionState> found = read_states(*query);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

std::vector<ProjectionState> list_projections(Session& session) {
  static const std::string sql = std::string(states) + std::string(in_order);
  const Use query = session.use(sql);
  std::vector<ProjectionState> found = read_states(*query);
  for (ProjectionState& state : found) {
    const Use count = session.use("SELECT count(*) FROM dead_letters WHERE projection_name = ?1 AND tenant_id = ?2");
    bind(*count, state.key);
    count->step();
    state.dead_letters = count->int64(0);
  }
  return found;
}

ProjectionState open_projection(Session& session, const ProjectionKey& key, std::int32_t parts, Position start,
                                ProjectionKind kind) {
  const Use insert = session.use(
      "INSERT INTO projections (projection_name, tenant_id, parts, created_at, kind) VALUES (?1, ?2, ?3, ?4, ?5) "
      "ON CONFLICT DO NOTHING");
  bind(*insert, key);
  insert->bind(3, std::int64_t{parts});
  insert->bind(4, Timestamp::now());
  insert->bind(5, to_string(kind));
  if (changes(session, *insert)) {
    add_checkpoints(session, key, 1, parts, start);
  } else {
    const Use update = session.use(
        "UPDATE projections SET kind = ?3 WHERE projection_name = ?1 AND tenant_id = ?2 AND kind IS NULL "
        "AND parts = ?4");
    bind(*update, key);
    update->bind(3, to_string(kind));
    update->bind(4, std::int64_t{parts});
    update->step();
  }
  return *find_projection(session, key);
}

bool change_kind(Session& session, const ProjectionKey& key, ProjectionKind from, ProjectionKind to) {
  const Use update =
      session.use("UPDATE projections SET kind = ?4 WHERE projection_name = ?1 AND tenant_id = ?2 AND kind = ?3");
  bind(*update, key);
  update->bind(3, to_string(from));
  update->bind(4, to_string(to));
  return changes(session, *update);
}

std::int32_t add_generation(Session& session, const ProjectionKey& key) {
  std::int32_t generation = 0;
  std::int32_t parts = 0;
  {
    const Use query = session.use(
        "SELECT p.parts, (SELECT max(o.generation) FROM projection_offsets AS o WHERE o.projection_name = ?1 "
        "AND o.tenant_id = ?2) FROM projections AS p WHERE p.projection_name = ?1 AND p.tenant_id = ?2");
    bind(*query, key);
    if (!query->step()) throw make_error(ErrorCode::not_found, "there is no projection '" + key.name + "'");
    parts = static_cast<std::int32_t>(query->int64(0));
    generation = static_cast<std::int32_t>(query->int64(1)) + 1;
  }
  add_checkpoints(session, key, generation, parts, Position(0));
  return generation;
}

void remove_generation(Session& session, const ProjectionKey& key, std::int32_t generation) {
  {
    const Use query = session.use(
        "SELECT 1 FROM projections WHERE projection_name = ?1 AND tenant_id = ?2 AND active_generation = ?3");
    bind(*query, key);
    query->bind(3, std::int64_t{generation});
    if (query->step()) {
      throw make_error(ErrorCode::invalid_argument, "generation " + std::to_string(generation) + " is the active one");
    }
  }
  const Use remove =
      session.use("DELETE FROM projection_offsets WHERE projection_name = ?1 AND tenant_id = ?2 AND generation = ?3");
  bind(*remove, key);
  remove->bind(3, std::int64_t{generation});
  remove->step();
}

void remove_projection(Session& session, const ProjectionKey& key) {
  const Use remove = session.use("DELETE FROM projections WHERE projection_name = ?1 AND tenant_id = ?2");
  bind(*remove, key);
  remove->step();
}

bool is_lease_free(Session& session, const PartKey& key, const std::string& holder) {
  const Use query = session.use(
      "SELECT 1 FROM projection_offsets WHERE projection_name = ?1 AND tenant_id = ?2 AND generation = ?3 "
      "AND part = ?4 AND (leased_until IS NULL OR leased_until <= ?5 OR leased_until > ?7 OR holder = ?6)");
  bind(*query, key);
  query->bind(5, Timestamp::now());
  query->bind(6, holder);
  query->bind(7, in(driver::longest_lease));
  return query->step();
}

std::optional<Lease> acquire_lease(Session& session, const PartKey& key, const std::string& holder, milliseconds time) {
  // The clock's value is higher than any fence of a checkpoint of this name that was removed.
  const Use update = session.use(
      "UPDATE projection_offsets SET holder = ?6, leased_until = ?7, fence = max(fence + 1, ?5) "
      "WHERE projection_name = ?1 AND tenant_id = ?2 AND generation = ?3 AND part = ?4 "
      "AND (leased_until IS NULL OR leased_until <= ?5 OR leased_until > ?8 OR holder = ?6) RETURNING fence, "
      "last_position");
  bind(*update, key);
  update->bind(5, Timestamp::now());
  update->bind(6, holder);
  update->bind(7, in(time));
  update->bind(8, in(driver::longest_lease));
  if (!update->step()) return std::nullopt;
  return Lease{key, holder, update->int64(0), Position(update->int64(1))};
}

bool renew_lease(Session& session, const Lease& lease, milliseconds time) {
  const Use update = session.use(
      "UPDATE projection_offsets SET leased_until = ?6 WHERE projection_name = ?1 AND tenant_id = ?2 "
      "AND generation = ?3 AND part = ?4 AND fence = ?5 AND leased_until IS NOT NULL");
  bind(*update, lease.key);
  update->bind(5, lease.fence);
  update->bind(6, in(time));
  return changes(session, *update);
}

void release_lease(Session& session, const Lease& lease) {
  const Use update = session.use(
      "UPDATE projection_offsets SET leased_until = NULL WHERE projection_name = ?1 AND tenant_id = ?2 "
      "AND generation = ?3 AND part = ?4 AND fence = ?5");
  bind(*update, lease.key);
  update->bind(5, lease.fence);
  update->step();
}

std::int32_t announce_member(Session& session, const ProjectionKey& key, const std::string& member, milliseconds time) {
  {
    const Use insert = session.use(
        "INSERT INTO projection_members (projection_name, tenant_id, member, present_until) "
        "SELECT projection_name, tenant_id, ?3, ?4 FROM projections WHERE projection_name = ?1 AND tenant_id = ?2 "
        "ON CONFLICT (projection_name, tenant_id, member) DO UPDATE SET present_until = excluded.present_until");
    bind(*insert, key);
    insert->bind(3, member);
    insert->bind(4, in(time));
    insert->step();
  }
  {
    // Who leaves has a time that is over now.
    const Use remove = session.use(
        "DELETE FROM projection_members WHERE projection_name = ?1 AND tenant_id = ?2 "
        "AND (present_until <= ?3 OR present_until > ?4)");
    bind(*remove, key);
    remove->bind(3, Timestamp::now());
    remove->bind(4, in(driver::longest_lease));
    remove->step();
  }
  const Use count =
      session.use("SELECT count(*) FROM projection_members WHERE projection_name = ?1 AND tenant_id = ?2");
  bind(*count, key);
  count->step();
  return static_cast<std::int32_t>(count->int64(0));
}

std::vector<DeadLetter> list_dead_letters(Session& session, const ProjectionKey& key, std::size_t limit) {
  const Use query = session.use(
      "SELECT generation, part, global_position, event_id, attempts, error, recorded_at FROM dead_letters "
      "WHERE projection_name = ?1 AND tenant_id = ?2 ORDER BY global_position, generation, part LIMIT ?3");
  bind(*query, key);
  query->bind(3, static_cast<std::int64_t>(limit));
  std::vector<DeadLetter> letters;
  while (query->step()) {
    letters.push_back({{key, static_cast<std::int32_t>(query->int64(0)), static_cast<std::int32_t>(query->int64(1))},
                       Position(query->int64(2)),
                       query->uuid(3),
                       static_cast<std::int32_t>(query->int64(4)),
                       std::string(query->text(5)),
                       query->time(6)});
  }
  return letters;
}

bool remove_dead_letter(Session& session, const PartKey& key, Position position) {
  const Use remove = session.use(
      "DELETE FROM dead_letters WHERE projection_name = ?1 AND tenant_id = ?2 AND generation = ?3 AND part = ?4 "
      "AND global_position = ?5");
  bind(*remove, key);
  remove->bind(5, position.value());
  return changes(session, *remove);
}

bool move_checkpoint(Session& session, const Lease& lease, Position to) {
  const Use update = session.use(
      "UPDATE projection_offsets SET last_position = ?6, updated_at = ?7 WHERE projection_name = ?1 "
      "AND tenant_id = ?2 AND generation = ?3 AND part = ?4 AND fence = ?5 AND last_position = ?8");
  bind(*update, lease.key);
  update->bind(5, lease.fence);
  update->bind(6, to.value());
  update->bind(7, Timestamp::now());
  update->bind(8, lease.position.value());
  return changes(session, *update);
}

void add_dead_letter(Session& session, const DeadLetter& letter) {
  const std::string error = driver::storable_error(letter.error);
  const Use insert = session.use(
      "INSERT INTO dead_letters (projection_name, tenant_id, generation, part, global_position, event_id, attempts, "
      "error, recorded_at) SELECT projection_name, tenant_id, generation, part, ?5, ?6, ?7, ?8, ?9 "
      "FROM projection_offsets WHERE projection_name = ?1 AND tenant_id = ?2 AND generation = ?3 AND part = ?4 "
      "ON CONFLICT (projection_name, tenant_id, global_position, generation, part) DO UPDATE SET "
      "event_id = excluded.event_id, attempts = excluded.attempts, error = excluded.error, "
      "recorded_at = excluded.recorded_at");
  bind(*insert, letter.key);
  insert->bind(5, letter.position.value());
  insert->bind(6, letter.event_id);
  insert->bind(7, std::int64_t{letter.attempts});
  insert->bind(8, error);
  insert->bind(9, Timestamp::now());
  insert->step();
}

bool activate(Session& session, const ProjectionKey& key, std::int32_t from, std::int32_t generation) {
  {
    const Use update = session.use(
        "UPDATE projections SET active_generation = ?4 WHERE projection_name = ?1 AND tenant_id = ?2 "
        "AND active_generation = ?3 AND EXISTS (SELECT 1 FROM projection_offsets AS o WHERE o.projection_name = ?1 "
        "AND o.tenant_id = ?2 AND o.generation = ?4)");
    bind(*update, key);
    update->bind(3, std::int64_t{from});
    update->bind(4, std::int64_t{generation});
    if (!changes(session, *update)) return false;
  }
  const Use remove =
      session.use("DELETE FROM projection_offsets WHERE projection_name = ?1 AND tenant_id = ?2 AND generation < ?3");
  bind(*remove, key);
  remove->bind(3, std::int64_t{generation});
  remove->step();
  return true;
}

bool is_inline(Session& session, const ProjectionKey& key, std::int32_t generation) {
  const Use query = session.use(
      "SELECT 1 FROM projections WHERE projection_name = ?1 AND tenant_id = ?2 AND active_generation = ?3 "
      "AND kind = 'inline'");
  bind(*query, key);
  query->bind(3, std::int64_t{generation});
  return query->step();
}

}  // namespace stele::sqlite
