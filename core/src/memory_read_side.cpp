#include "memory_read_side.h"

#include <algorithm>

#include "stele/error.h"

namespace stele::detail {

using driver::DeadLetter;
using driver::Lease;
using driver::PartKey;
using driver::PartState;
using driver::ProjectionKey;
using driver::ProjectionKind;
using driver::ProjectionState;
using std::chrono::milliseconds;

namespace {

constexpr std::chrono::seconds lock_timeout{10};

bool matches(const StreamKey& stream, const auto& wanted) {
  return stream.tenant == wanted.tenant && (!wanted.stream_type || stream.type == *wanted.stream_type) &&
         (!wanted.stream_id || stream.id == *wanted.stream_id);
}

SnapshotInfo info_of(const Snapshot& snapshot) {
  return {snapshot.stream,      snapshot.version,     snapshot.schema_version,
          snapshot.snapshot_id, snapshot.recorded_at, static_cast<std::int64_t>(snapshot.state.text().size())};
}

Timestamp in(milliseconds time) {
  return Timestamp::from_micros(Timestamp::now().micros() + std::chrono::microseconds(time).count());
}

/// Of a lease or a member.
bool lasts(Timestamp until) {
  return until > Timestamp::now() && until <= in(driver::longest_lease);
}

bool is_held(const PartState& part) {
  return part.leased_until && lasts(*part.leased_until);
}

/// The projection itself, among its parts.
PartKey row_of(const ProjectionKey& key) {
  return {key, 0, 0};
}

auto only(const PartKey& key) {
  return [key](const PartKey& row) { return row == key; };
}

auto all_of(const ProjectionKey& key) {
  return [key](const PartKey& row) { return row.projection == key; };
}

}  // namespace

// --- Snapshots

bool MemoryReadSide::save(const Snapshot& snapshot, Version stream_version) {
  const Lock lock(mutex_);
  if (snapshot.version > stream_version) return false;
  for (const auto& [stream, versions] : snapshots_) {
    for (const auto& [version, other] : versions) {
      const bool replaced = stream == snapshot.stream && version == snapshot.version;
      if (other.snapshot_id == snapshot.snapshot_id && !replaced) {
        throw Error(ErrorCode::invalid_argument, "the snapshot_id belongs to another snapshot");
      }
    }
  }
  Snapshot& kept = snapshots_[snapshot.stream][snapshot.version] = snapshot;
  kept.recorded_at = Timestamp::now();
  return true;
}

std::optional<Snapshot> MemoryReadSide::find(const StreamKey& stream, Version at_or_below,
                                             std::optional<std::int32_t> schema) const {
  const Lock lock(mutex_);
  const auto found = snapshots_.find(stream);
  if (found == snapshots_.end()) return std::nullopt;
  for (auto at = found->second.upper_bound(at_or_below); at != found->second.begin();) {
    --at;
    if (!schema || at->second.schema_version == *schema) return at->second;
  }
  return std::nullopt;
}

std::vector<SnapshotInfo> MemoryReadSide::list(const SnapshotListOptions& options) const {
  const Lock lock(mutex_);
  std::vector<SnapshotInfo> page;
  for (const auto& [stream, versions] : snapshots_) {
    if (!matches(stream, options)) continue;
    for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
      if (page.size() == options.limit) return page;
      if (options.after && (stream < options.after->stream ||
                            (stream == options.after->stream && at->first >= options.after->version))) {
        continue;
      }
      page.push_back(info_of(at->second));
    }
  }
  return page;
}

std::int64_t MemoryReadSide::remove(const SnapshotDeletion& which) {
  const Lock lock(mutex_);
  std::int64_t removed = 0;
  for (auto& [stream, versions] : snapshots_) {
    if (!matches(stream, which)) continue;
    const auto kept = std::min(versions.size(), static_cast<std::size_t>(which.keep));
    const auto first_kept = std::prev(versions.end(), static_cast<std::ptrdiff_t>(kept));
    for (auto at = versions.begin(); at != first_kept;) {
      const bool goes = !which.before || at->second.recorded_at < *which.before;
      at = goes ? versions.erase(at) : std::next(at);
      removed += goes ? 1 : 0;
    }
  }
  return removed;
}

// --- Projections

PartState* MemoryReadSide::find_part(const PartKey& key) {
  const auto projection = projections_.find(key.projection);
  if (projection == projections_.end()) return nullptr;
  const auto part = projection->second.checkpoints.find({key.generation, key.part});
  return part == projection->second.checkpoints.end() ? nullptr : &part->second;
}

ProjectionState MemoryReadSide::state_of(const ProjectionKey& key, const Projection& projection) const {
  ProjectionState state{key, projection.parts, projection.active_generation, {}, 0, projection.kind};
  for (const auto& [at, part] : projection.checkpoints) {
    state.checkpoints.push_back(part);
    state.checkpoints.back().leased = is_held(part);
  }
  return state;
}

void MemoryReadSide::add_checkpoints(const ProjectionKey& key, Projection& projection, std::int32_t generation,
                                     Position start) {
  for (std::int32_t part = 0; part < projection.parts; ++part) {
    PartState& state = projection.checkpoints[{generation, part}];
    state.key = {key, generation, part};
    state.position = start;
    state.updated_at = Timestamp::now();
  }
}

void MemoryReadSide::drop_generation(const ProjectionKey& key, std::int32_t generation) {
  std::erase_if(projections_.at(key).checkpoints, [&](const auto& part) { return part.first.first == generation; });
  std::erase_if(dead_letters_, [&](const auto& letter) {
    return letter.first.first.projection == key && letter.first.first.generation == generation;
  });
}

void MemoryReadSide::wait_for(Lock& lock, const std::function<bool(const PartKey&)>& rows,
                              const MemoryTransaction* own) {
  const auto are_free = [&] {
    return std::none_of(locks_.begin(), locks_.end(),
                        [&](const auto& locked) { return locked.second != own && rows(locked.first); });
  };
  if (unlocked_.wait_for(lock, lock_timeout, are_free)) return;
  throw Error(ErrorCode::busy, "another transaction holds the checkpoint",
              {.backend = "memory", .native_code = 0, .sqlstate = {}, .retryable = true, .outcome = {}});
}

ProjectionState MemoryReadSide::open(const ProjectionKey& key, std::int32_t parts, Position start,
                                     ProjectionKind kind) {
  const Lock lock(mutex_);
  const auto [at, is_new] = projections_.try_emplace(key);
  if (is_new) {
    at->second.parts = parts;
    at->second.kind = kind;
    add_checkpoints(key, at->second, 1, start);
  }
  ProjectionState state = state_of(key, at->second);
  driver::expect_same_use(state, parts, kind);
  return state;
}

bool MemoryReadSide::change_kind(const ProjectionKey& key, ProjectionKind from, ProjectionKind to) {
  Lock lock(mutex_);
  wait_for(lock, only(row_of(key)));
  const auto found = projections_.find(key);
  if (found == projections_.end() || found->second.kind != from) return false;
  found->second.kind = to;
  return true;
}

std::optional<ProjectionState> MemoryReadSide::find(const ProjectionKey& key) const {
  const Lock lock(mutex_);
  const auto found = projections_.find(key);
  if (found == projections_.end()) return std::nullopt;
  return state_of(key, found->second);
}

std::vector<ProjectionState> MemoryReadSide::list() const {
  const Lock lock(mutex_);
  std::vector<ProjectionState> states;
  for (const auto& [key, projection] : projections_) {
    ProjectionState& state = states.emplace_back(state_of(key, projection));
    state.dead_letters = std::count_if(dead_letters_.begin(), dead_letters_.end(), [&name = key](const auto& letter) {
      return letter.first.first.projection == name;
    });
  }
  return states;
}

std::int32_t MemoryReadSide::add_generation(const ProjectionKey& key) {
  Lock lock(mutex_);
  wait_for(lock, only(row_of(key)));
  const auto found = projections_.find(key);
  if (found == projections_.end()) throw Error(ErrorCode::not_found, "there is no projection '" + key.name + "'");
  const std::int32_t generation = found->second.checkpoints.rbegin()->first.first + 1;
  add_checkpoints(key, found->second, generation, Position(0));
  return generation;
}

void MemoryReadSide::remove_generation(const ProjectionKey& key, std::int32_t generation) {
  Lock lock(mutex_);
  wait_for(lock, [&](const PartKey& row) {
    return row == row_of(key) || (row.projection == key && row.generation == generation);
  });
  const auto found = projections_.find(key);
  if (found == projections_.end()) return;
  if (found->second.active_generation == generation) {
    throw Error(ErrorCode::invalid_argument, "generation " + std::to_string(generation) + " is the active one");
  }
  drop_generation(key, generation);
}

void MemoryReadSide::remove(const ProjectionKey& key) {
  Lock lock(mutex_);
  wait_for(lock, all_of(key));
  projections_.erase(key);
  std::erase_if(dead_letters_, [&](const auto& letter) { return letter.first.first.projection == key; });
}

std::optional<Lease> MemoryReadSide::acquire(const PartKey& key, const std::string& holder, milliseconds time) {
  Lock lock(mutex_);
  const auto is_free = [&](const PartState* part) {
    return part != nullptr && (!is_held(*part) || part->holder == holder);
  };
  if (!is_free(find_part(key))) return std::nullopt;
  wait_for(lock, only(key));
  PartState* part = find_part(key);
  if (!is_free(part)) return std::nullopt;
  part->fence = ++last_fence_;
  part->holder = holder;
  part->leased_until = in(time);
  return Lease{key, holder, part->fence, part->position};
}

bool MemoryReadSide::renew(const Lease& lease, milliseconds time) {
  Lock lock(mutex_);
  wait_for(lock, only(lease.key));
  PartState* part = find_part(lease.key);
  if (part == nullptr || part->fence != lease.fence || !part->leased_until) return false;
  part->leased_until = in(time);
  return true;
}

void MemoryReadSide::release(const Lease& lease) {
  Lock lock(mutex_);
  wait_for(lock, only(lease.key));
  PartState* part = find_part(lease.key);
  if (part != nullptr && part->fence == lease.fence) part->leased_until.reset();
}

std::int32_t MemoryReadSide::announce(const ProjectionKey& key, const std::string& member, milliseconds time) {
  const Lock lock(mutex_);
  const auto found = projections_.find(key);
  if (found == projections_.end()) return 0;
  found->second.members[member] = in(time);
  std::erase_if(found->second.members, [](const auto& other) { return !lasts(other.second); });
  return static_cast<std::int32_t>(found->second.members.size());
}

std::vector<DeadLetter> MemoryReadSide::list_dead_letters(const ProjectionKey& key, std::size_t limit) const {
  const Lock lock(mutex_);
  std::vector<DeadLetter> letters;
  for (const auto& [at, letter] : dead_letters_) {
    if (at.first.projection == key) letters.push_back(letter);
  }
  std::stable_sort(letters.begin(), letters.end(),
                   [](const DeadLetter& a, const DeadLetter& b) { return a.position < b.position; });
  letters.resize(std::min(letters.size(), limit));
  return letters;
}

bool MemoryReadSide::remove_dead_letter(const PartKey& key, Position position) {
  const Lock lock(mutex_);
  return dead_letters_.erase({key, position}) > 0;
}

// --- Transactions

MemoryTransaction::~MemoryTransaction() {
  const MemoryReadSide::Lock lock(side_.mutex_);
  std::erase_if(side_.locks_, [&](const auto& row) { return row.second == this; });
  side_.unlocked_.notify_all();
}

void MemoryTransaction::on_commit(std::function<void()> change) {
  staged_.push_back(std::move(change));
}

bool MemoryTransaction::move_checkpoint(const Lease& lease, Position to) {
  MemoryReadSide::Lock lock(side_.mutex_);
  side_.wait_for(lock, only(lease.key), this);
  const PartState* part = side_.find_part(lease.key);
  if (part == nullptr || part->fence != lease.fence) return false;
  const auto moved = moved_.find(lease.key);
  if (lease.position != (moved == moved_.end() ? part->position : moved->second)) return false;
  moved_[lease.key] = to;
  side_.locks_[lease.key] = this;
  staged_.emplace_back([this, key = lease.key, to] {
    PartState* state = side_.find_part(key);
    if (state == nullptr) return;  // This transaction itself forgot it: see activate().
    state->position = to;
    state->updated_at = Timestamp::now();
  });
  return true;
}

void MemoryTransaction::add_dead_letter(const DeadLetter& letter) {
  DeadLetter kept = letter;
  kept.error = driver::storable_error(letter.error);
  staged_.emplace_back([this, kept]() mutable {
    if (side_.find_part(kept.key) == nullptr) return;
    kept.recorded_at = Timestamp::now();
    side_.dead_letters_[{kept.key, kept.position}] = kept;
  });
}

bool MemoryTransaction::activate(const ProjectionKey& key, std::int32_t from, std::int32_t generation) {
  MemoryReadSide::Lock lock(side_.mutex_);
  side_.wait_for(
      lock, [&](const PartKey& row) { return row.projection == key && row.generation < generation; }, this);
  const auto found = side_.projections_.find(key);
  if (found == side_.projections_.end() || found->second.active_generation != from) return false;
  if (side_.find_part({key, generation, 0}) == nullptr) return false;
  side_.locks_[row_of(key)] = this;
  std::set<std::int32_t> forgotten;
  for (const auto& [at, part] : found->second.checkpoints) {
    if (at.first >= generation) break;
    forgotten.insert(at.first);
    side_.locks_[part.key] = this;
  }
  staged_.emplace_back([this, key, generation, forgotten] {
    side_.projections_.at(key).active_generation = generation;
    for (const std::int32_t old : forgotten) side_.drop_generation(key, old);
  });
  return true;
}

bool MemoryTransaction::is_inline(const ProjectionKey& key, std::int32_t generation) {
  const MemoryReadSide::Lock lock(side_.mutex_);
  const auto found = side_.projections_.find(key);
  return found != side_.projections_.end() && found->second.kind == ProjectionKind::inline_projection &&
         found->second.active_generation == generation;
}

void MemoryTransaction::commit() {
  if (of_append_) {
    throw Error(ErrorCode::invalid_argument, "the append commits this transaction, not the one who is called in it");
  }
  apply();
}

void MemoryTransaction::apply() noexcept {
  const MemoryReadSide::Lock lock(side_.mutex_);
  for (const std::function<void()>& change : staged_) change();
  staged_.clear();
  std::erase_if(side_.locks_, [&](const auto& row) { return row.second == this; });
  side_.unlocked_.notify_all();
}

}  // namespace stele::detail
