#include "projections.h"

#include "errors.h"

namespace stele::mssql {
namespace {

using driver::DeadLetter;
using driver::Lease;
using driver::PartKey;
using driver::PartState;
using driver::ProjectionKey;
using driver::ProjectionKind;
using driver::ProjectionState;
using std::chrono::milliseconds;

// For the conditions below, in their order.
Parameters& add_key(Parameters& parameters, const ProjectionKey& key) {
  return parameters.add(Type::bytes, key.name).add(Type::bytes, key.tenant);
}

Parameters& add_key(Parameters& parameters, const PartKey& key) {
  return add_key(parameters, key.projection).add(Type::int4, key.generation).add(Type::int4, key.part);
}

template <class Key>
Parameters parameters_of(const Key& key) {
  Parameters parameters;
  add_key(parameters, key);
  return parameters;
}

// For DATEADD, which would overflow after 24 days of milliseconds.
Parameters& add_time(Parameters& parameters, milliseconds time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return parameters.add(Type::int4, (time - seconds).count()).add(Type::int4, seconds.count());
}

/// The statement's first column says whether it did anything.
bool done(const Result& row) {
  return row.integer(0, 0) > 0;
}

constexpr std::string_view begin_of_states = "SELECT p.projection_key, p.tenant_key, p.parts, p.active_generation, ";
constexpr std::string_view count_of_dead_letters =
    "(SELECT COUNT_BIG(*) FROM $(schema).dead_letters AS d WHERE d.projection_key = p.projection_key "
    "AND d.tenant_key = p.tenant_key AND o.generation = p.active_generation AND o.part = 0)";
// Behind the count, or 0. How long a lease is believed: see driver::longest_lease.
constexpr std::string_view end_of_states =
    ", o.generation, o.part, o.last_position, o.holder, o.leased_until, CASE WHEN o.leased_until > SYSUTCDATETIME() "
    "AND o.leased_until <= DATEADD(hour, 1, SYSUTCDATETIME()) THEN 1 ELSE 0 END, o.fence, o.updated_at, p.kind "
    "FROM $(schema).projections AS p JOIN $(schema).projection_offsets AS o "
    "ON o.projection_key = p.projection_key AND o.tenant_key = p.tenant_key ";
static_assert(driver::longest_lease == std::chrono::hours(1));
constexpr std::string_view in_order = "ORDER BY p.projection_key, p.tenant_key, o.generation, o.part";

std::vector<ProjectionState> read_states(const Result& rows) {
  std::vector<ProjectionState> found;
  for (int row = 0; row < rows.rows(); ++row) {
    ProjectionKey key{std::string(rows.bytes(row, 0)), std::string(rows.bytes(row, 1))};
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
    part.leased = rows.integer(row, 10) == 1;
    part.fence = rows.integer(row, 11);
    part.updated_at = rows.time(row, 12);
  }
  return found;
}

/// A generation's checkpoints, in a transaction that has the projection's row.
void insert_parts(Session& session, const ProjectionKey& key, std::int32_t generation, std::int32_t parts,
                  Position start) {
  static const std::string sql = [] {
    std::string text =
        "INSERT INTO $(schema).projection_offsets (projection_name, tenant_id, projection_key, tenant_key, generation, "
        "part, last_position, holder, fence, updated_at) SELECT p.projection_name, p.tenant_id, p.projection_key, "
        "p.tenant_key, ?, v.part, ?, N'', 0, SYSUTCDATETIME() FROM $(schema).projections AS p CROSS JOIN (VALUES (0)";
    for (int part = 1; part < 64; ++part) text += ", (" + std::to_string(part) + ")";
    return text + ") AS v (part) WHERE v.part < ? AND p.projection_key = ? AND p.tenant_key = ?";
  }();
  Parameters parameters;
  parameters.add(Type::int4, generation).add(Type::int8, start.value()).add(Type::int4, parts);
  session.execute(sql, add_key(parameters, key));
}

/// Others that make, switch or remove generations wait until the transaction is over.
struct Locked {
  std::int32_t parts;
  std::int32_t active_generation;
};
std::optional<Locked> lock(Session& session, const ProjectionKey& key) {
  // Not by OUTPUT: on Babelfish that gives the row as it was before this statement waited for its lock.
  Parameters parameters = parameters_of(key);
  const Result row = session.execute(
      "DECLARE @locked INT; UPDATE $(schema).projections SET parts = parts WHERE projection_key = ? AND tenant_key = "
      "?; SET @locked = @@ROWCOUNT; SELECT parts, active_generation FROM $(schema).projections WHERE @locked = 1 AND "
      "projection_key = ? AND tenant_key = ?",
      add_key(parameters, key));
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
      Parameters parameters;
      parameters.add(Type::text, to_string(kind));
      session.execute(
          "UPDATE $(schema).projections SET kind = ? WHERE projection_key = ? AND tenant_key = ? AND kind IS NULL",
          add_key(parameters, key));
      continue;
    }
    try {
      Transaction transaction(session);
      Parameters parameters;
      parameters.add(Type::text, key.name).add(Type::text, key.tenant);
      session.execute(
          "INSERT INTO $(schema).projections (projection_name, tenant_id, projection_key, tenant_key, parts, "
          "active_generation, created_at, kind) VALUES (?, ?, ?, ?, ?, 1, SYSUTCDATETIME(), ?)",
          add_key(parameters, key).add(Type::int4, parts).add(Type::text, to_string(kind)));
      insert_parts(session, key, 1, parts, start);
      transaction.commit();
    } catch (const Error& error) {  // Another was faster.
      if (!is_duplicate_key(error)) throw;
    }
  }
}

bool change_kind(Session& session, const ProjectionKey& key, ProjectionKind from, ProjectionKind to) {
  Parameters parameters;
  parameters.add(Type::text, to_string(to));
  return done(session.execute(
      "UPDATE $(schema).projections SET kind = ? WHERE projection_key = ? AND tenant_key = ? AND kind = "
      "?; SELECT @@ROWCOUNT",
      add_key(parameters, key).add(Type::text, to_string(from))));
}

std::optional<ProjectionState> find_projection(Session& session, const ProjectionKey& key) {
  static const std::string sql = std::string(begin_of_states) + "CAST(0 AS BIGINT)" + std::string(end_of_states) +
                                 "WHERE p.projection_key = ? AND p.tenant_key = ? " + std::string(in_order);
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
  Transaction transaction(session);
  const std::optional<Locked> projection = lock(session, key);
  if (!projection) throw make_error(ErrorCode::not_found, "there is no projection '" + key.name + "'");
  // A new statement sees what was made while this one waited for the lock.
  const Result row = session.execute(
      "SELECT MAX(generation) + 1 FROM $(schema).projection_offsets WHERE projection_key = ? AND tenant_key = ?",
      parameters_of(key));
  const auto generation = static_cast<std::int32_t>(row.integer(0, 0));
  insert_parts(session, key, generation, projection->parts, Position(0));
  transaction.commit();
  return generation;
}

void remove_generation(Session& session, const ProjectionKey& key, std::int32_t generation) {
  Transaction transaction(session);
  const std::optional<Locked> projection = lock(session, key);
  if (!projection) return;
  if (projection->active_generation == generation) {
    throw make_error(ErrorCode::invalid_argument, "generation " + std::to_string(generation) + " is the active one");
  }
  session.execute(
      "DELETE FROM $(schema).projection_offsets WHERE projection_key = ? AND tenant_key = ? AND generation = ?",
      parameters_of(key).add(Type::int4, generation));
  transaction.commit();
}

void remove_projection(Session& session, const ProjectionKey& key) {
  session.execute("DELETE FROM $(schema).projections WHERE projection_key = ? AND tenant_key = ?", parameters_of(key));
}

std::optional<Lease> acquire_lease(Session& session, const PartKey& key, const std::string& holder, milliseconds time) {
  // The clock's value is higher than any fence of a checkpoint of this name that was removed. The second statement
  // reads what the first one has locked; see lock().
  constexpr std::string_view sql =
      "DECLARE @clock BIGINT, @given INT; SET @clock = DATEDIFF_BIG(microsecond, CAST('1970-01-01' AS DATETIME2(6)), "
      "SYSUTCDATETIME()); BEGIN TRANSACTION; "
      "UPDATE $(schema).projection_offsets SET holder = ?, leased_until = DATEADD(millisecond, ?, DATEADD(second, ?, "
      "SYSUTCDATETIME())), fence = CASE WHEN fence >= @clock THEN fence + 1 ELSE @clock END "
      "WHERE projection_key = ? AND tenant_key = ? AND generation = ? AND part = ? "
      "AND (leased_until IS NULL OR leased_until <= SYSUTCDATETIME() "
      "OR leased_until > DATEADD(hour, 1, SYSUTCDATETIME()) "    // See driver::longest_lease.
      "OR holder = ? AND DATALENGTH(holder) = DATALENGTH(?)); "  // = pads with blanks.
      "SET @given = @@ROWCOUNT; SELECT fence, last_position FROM $(schema).projection_offsets WHERE @given = 1 "
      "AND projection_key = ? AND tenant_key = ? AND generation = ? AND part = ?; COMMIT TRANSACTION";
  Parameters parameters;
  add_time(parameters.add(Type::text, holder), time);
  add_key(parameters, key).add(Type::text, holder).add(Type::text, holder);
  const Result row = session.execute(sql, add_key(parameters, key));
  if (row.rows() == 0) return std::nullopt;
  return Lease{key, holder, row.integer(0, 0), Position(row.integer(0, 1))};
}

bool renew_lease(Session& session, const Lease& lease, milliseconds time) {
  Parameters parameters;
  add_key(add_time(parameters, time), lease.key).add(Type::int8, lease.fence);
  return done(
      session.execute("UPDATE $(schema).projection_offsets SET leased_until = DATEADD(millisecond, ?, DATEADD(second, "
                      "?, SYSUTCDATETIME())) WHERE projection_key = ? AND tenant_key = ? AND generation = ? AND part = "
                      "? AND fence = ? AND leased_until IS NOT NULL; SELECT @@ROWCOUNT",
                      parameters));
}

void release_lease(Session& session, const Lease& lease) {
  session.execute(
      "UPDATE $(schema).projection_offsets SET leased_until = NULL WHERE projection_key = ? AND tenant_key = ? AND "
      "generation = ? AND part = ? AND fence = ?",
      parameters_of(lease.key).add(Type::int8, lease.fence));
}

std::int32_t announce_member(Session& session, const ProjectionKey& key, const std::string& member, milliseconds time) {
  // By one look at the clock: who is there for a millisecond counts.
  static const std::string begin =
      "DECLARE @key VARBINARY(128), @tenant VARBINARY(64), @member VARBINARY(255), @now DATETIME2(6), @until "
      "DATETIME2(6); SET @key = ?; SET @tenant = ?; SET @member = ?; SET @now = SYSUTCDATETIME(); ";
  static const std::string stay =
      "SET @until = DATEADD(millisecond, ?, DATEADD(second, ?, @now)); "
      "UPDATE $(schema).projection_members SET present_until = @until WHERE projection_key = @key AND tenant_key = "
      "@tenant AND member_key = @member; IF @@ROWCOUNT = 0 INSERT INTO $(schema).projection_members (projection_name, "
      "tenant_id, projection_key, tenant_key, member, member_key, present_until) SELECT projection_name, tenant_id, "
      "projection_key, tenant_key, ?, @member, @until FROM $(schema).projections WHERE projection_key = @key AND "
      "tenant_key = @tenant; ";
  static const std::string leave =
      "DELETE FROM $(schema).projection_members WHERE projection_key = @key AND tenant_key = @tenant AND member_key = "
      "@member; ";
  static const std::string count =
      "DELETE FROM $(schema).projection_members WHERE projection_key = @key AND tenant_key = @tenant AND "
      "(present_until "
      "<= @now OR present_until > DATEADD(hour, 1, @now)); "  // See driver::longest_lease.
      "SELECT COUNT(*) FROM $(schema).projection_members WHERE projection_key = @key AND tenant_key = @tenant "
      "AND present_until > @now AND present_until <= DATEADD(hour, 1, @now)";
  Parameters parameters = parameters_of(key);
  parameters.add(Type::bytes, member);
  const bool stays = time > milliseconds(0);
  if (stays) add_time(parameters, time).add(Type::text, member);
  for (bool again = true;; again = false) {
    try {
      const Result row = session.execute(begin + (stays ? stay : leave) + count, parameters);
      return static_cast<std::int32_t>(row.integer(0, 0));
    } catch (const Error& error) {
      // The same member, twice at once: the row is there now. Or the projection went: now it is not to be seen.
      if (!(is_duplicate_key(error) || is_missing_reference(error)) || !again) throw;
    }
  }
}

std::vector<DeadLetter> list_dead_letters(Session& session, const ProjectionKey& key, std::size_t limit) {
  const Result rows = session.execute(
      "SELECT generation, part, global_position, event_id, attempts, error, recorded_at FROM $(schema).dead_letters "
      "WHERE projection_key = ? AND tenant_key = ? ORDER BY global_position, generation, part OFFSET 0 ROWS FETCH NEXT "
      "? ROWS ONLY",
      parameters_of(key).add(Type::int8, limit));
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
  return done(
      session.execute("DELETE FROM $(schema).dead_letters WHERE projection_key = ? AND tenant_key = ? AND generation = "
                      "? AND part = ? AND global_position = ?; SELECT @@ROWCOUNT",
                      parameters_of(key).add(Type::int8, position.value())));
}

bool move_checkpoint(Session& session, const Lease& lease, Position to) {
  Parameters parameters;
  add_key(parameters.add(Type::int8, to.value()), lease.key);
  return done(session.execute(
      "UPDATE $(schema).projection_offsets SET last_position = ?, updated_at = SYSUTCDATETIME() WHERE projection_key = "
      "? AND tenant_key = ? AND generation = ? AND part = ? AND fence = ? AND last_position = ?; SELECT @@ROWCOUNT",
      parameters.add(Type::int8, lease.fence).add(Type::int8, lease.position.value())));
}

void add_dead_letter(Session& session, const DeadLetter& letter) {
  // The checkpoint's row is locked first: two who add the same one at once would end the transaction of one of them.
  session.execute(
      "DECLARE @key VARBINARY(128), @tenant VARBINARY(64), @generation INT, @part INT, @position BIGINT, "
      "@event UNIQUEIDENTIFIER, @attempts INT, @error NVARCHAR(4000); "
      "SET @key = ?; SET @tenant = ?; SET @generation = ?; SET @part = ?; SET @position = ?; SET @event = ?; "
      "SET @attempts = ?; SET @error = ?; "
      "UPDATE $(schema).projection_offsets SET fence = fence WHERE projection_key = @key AND tenant_key = @tenant "
      "AND generation = @generation AND part = @part; "
      "IF @@ROWCOUNT = 1 BEGIN "
      "UPDATE $(schema).dead_letters SET event_id = @event, attempts = @attempts, error = @error, "
      "recorded_at = SYSUTCDATETIME() WHERE projection_key = @key AND tenant_key = @tenant "
      "AND global_position = @position AND generation = @generation AND part = @part; "
      "IF @@ROWCOUNT = 0 INSERT INTO $(schema).dead_letters (projection_name, tenant_id, projection_key, tenant_key, "
      "global_position, generation, part, event_id, attempts, error, recorded_at) SELECT projection_name, tenant_id, "
      "projection_key, tenant_key, @position, generation, part, @event, @attempts, @error, SYSUTCDATETIME() "
      "FROM $(schema).projection_offsets WHERE projection_key = @key AND tenant_key = @tenant "
      "AND generation = @generation AND part = @part; END",
      parameters_of(letter.key)
          .add(Type::int8, letter.position.value())
          .add(Type::uuid, letter.event_id)
          .add(Type::int4, letter.attempts)
          .add(Type::text, driver::storable_error(letter.error)));
}

bool activate(Session& session, const ProjectionKey& key, std::int32_t from, std::int32_t generation) {
  Parameters parameters;
  add_key(parameters.add(Type::int4, generation), key).add(Type::int4, from);
  add_key(parameters, key).add(Type::int4, generation);
  const Result switched = session.execute(
      "UPDATE $(schema).projections SET active_generation = ? WHERE projection_key = ? AND tenant_key = ? AND "
      "active_generation = ? AND EXISTS (SELECT 1 FROM $(schema).projection_offsets AS o "
      "WHERE o.projection_key = ? AND o.tenant_key = ? AND o.generation = ?); SELECT @@ROWCOUNT",
      parameters);
  if (!done(switched)) return false;
  session.execute(
      "DELETE FROM $(schema).projection_offsets WHERE projection_key = ? AND tenant_key = ? AND generation < ?",
      parameters_of(key).add(Type::int4, generation));
  return true;
}

bool is_inline(Session& session, const ProjectionKey& key, std::int32_t generation) {
  return session
             .execute(
                 "SELECT 1 FROM $(schema).projections WHERE projection_key = ? AND tenant_key = ? AND "
                 "active_generation = ? AND kind = N'inline'",
                 parameters_of(key).add(Type::int4, generation))
             .rows() > 0;
}

}  // namespace stele::mssql
