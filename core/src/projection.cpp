// What is done to a projection in the caller's thread.
#include "stele/projection.h"

#include <algorithm>
#include <set>
#include <utility>

#include "projection_rebuilder.h"

namespace stele {
namespace {

using detail::in_read_model;
using detail::LeaseKeeper;
using detail::move_all;
using detail::ProjectionWork;
using detail::throw_busy;

/// Leases of several checkpoints, given back at the end.
class Leases {
 public:
  explicit Leases(LeaseKeeper& keeper) : keeper_(keeper) {}
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;
  ~Leases() {
    for (const driver::Lease& lease : all_) keeper_.release(lease.key);
  }

  bool add(const driver::PartKey& key) {
    std::optional<driver::Lease> lease = keeper_.acquire(key);
    if (lease) all_.push_back(std::move(*lease));
    return lease.has_value();
  }
  /// There is nothing to be given back any more.
  void forget() noexcept {
    for (const driver::Lease& lease : all_) keeper_.forget(lease.key);
    all_.clear();
  }
  const std::vector<driver::Lease>& all() const noexcept { return all_; }

 private:
  LeaseKeeper& keeper_;
  std::vector<driver::Lease> all_;
};

std::set<std::int32_t> generations(const driver::ProjectionState& state) {
  std::set<std::int32_t> all;
  for (const driver::PartState& part : state.checkpoints) all.insert(part.key.generation);
  return all;
}

void drop_tables(const ProjectionWork& work, driver::ReadModelTransaction& transaction, std::int32_t generation) {
  ProjectionContext context = work.context(transaction, generation);
  work.projection.drop(context);
}

/// False when `active` is not the active one any more: then the other may be somebody's who began anew.
bool drop_replaced(const ProjectionWork& work, driver::ReadModelTransaction& transaction, std::int32_t replaced,
                   std::int32_t active) {
  if (!transaction.activate(work.key, active, active)) return false;
  drop_tables(work, transaction, replaced);
  return true;
}

/// Runs one part until it has come to the end, or to somebody else who has it.
class CatchingUp final : public detail::Applier {
 public:
  using Applier::Applier;

  /// Returns where it is then, or nothing when another has it. Throws what ended it.
  std::optional<Position> run(EventStore& store, detail::FollowerOptions options) {
    detail::Follower follower(store, std::move(options), *this);
    follower_ = &follower;
    follower.run();
    if (const std::optional<Error> error = follower.error()) throw Error(*error);
    if (taken_) return std::nullopt;
    return follower.position();
  }

  std::optional<Position> begin() override {
    const std::optional<Position> position = Applier::begin();
    if (!position) {
      taken_ = true;
      follower_->stop();
    }
    return position;
  }

 private:
  detail::Follower* follower_ = nullptr;
  bool taken_ = false;
};

/// Removes a generation. False, having done nothing, when it is active or somebody is at work at it.
bool discard(const ProjectionWork& work, LeaseKeeper& keeper, std::int32_t generation) {
  Leases leases(keeper);
  for (std::int32_t number = 0; number < work.options.parts; ++number) {
    if (!leases.add(work.part(generation, number))) return false;
  }
  // It may have been switched to since somebody looked. From now on it cannot: that takes its leases.
  const std::optional<driver::ProjectionState> now = work.store.driver().find_projection(work.key);
  if (!now || now->active_generation == generation) return false;
  const bool dropped = in_read_model(work, [&](driver::ReadModelTransaction& transaction) {
    drop_tables(work, transaction, generation);
    return move_all(transaction, leases.all(), Position(0));
  });
  if (!dropped) return false;
  work.store.driver().remove_generation(work.key, generation);
  leases.forget();
  return true;
}

/// Removes what a rebuild left that died, or that could not drop what it had replaced.
void remove_leftovers(const ProjectionWork& work, LeaseKeeper& keeper, const driver::ProjectionState& state) {
  for (const std::int32_t generation : generations(state)) {
    if (generation == state.active_generation) continue;
    if (!discard(work, keeper, generation)) throw_busy(work.key, "is being rebuilt");
  }
  if (state.active_generation == 1) return;
  in_read_model(work, [&](driver::ReadModelTransaction& transaction) {
    return drop_replaced(work, transaction, state.active_generation - 1, state.active_generation);
  });
}

}  // namespace

Position run_projection(EventStore& store, Projection& projection, const ProjectionOptions& options) {
  const ProjectionWork work(store, projection, options);
  LeaseKeeper keeper(store, work.holder, work.options.lease);
  const Position until = store.log_end();
  const std::int32_t parts = work.options.parts;
  const driver::ProjectionState state = store.driver().open_projection(work.key, parts);
  Leases leases(keeper);
  for (std::int32_t number = 0; number < parts; ++number) {
    if (!leases.add(work.part(state.active_generation, number))) throw_busy(work.key, "is running");
  }
  std::optional<Position> position;
  for (std::int32_t number = 0; number < parts; ++number) {
    detail::FollowerOptions of_part = work.follower_options(detail::wanted_in_part(number, parts));
    of_part.until = until;
    const std::optional<Position> here = CatchingUp(work, keeper, {number}).run(store, std::move(of_part));
    if (!here) throw_busy(work.key, "was taken over");
    position = std::min(position.value_or(*here), *here);
  }
  return *position;
}

std::int32_t rebuild_projection(EventStore& store, Projection& projection, const ProjectionOptions& options) {
  const ProjectionWork work(store, projection, options);
  LeaseKeeper keeper(store, work.holder, work.options.lease);
  driver::Driver& driver = store.driver();
  const driver::ProjectionState before = driver.open_projection(work.key, work.options.parts);
  remove_leftovers(work, keeper, before);
  const std::int32_t from = before.active_generation;
  const std::int32_t generation = driver.add_generation(work.key);

  detail::Rebuilder rebuilder(work, keeper, from, generation);
  if (!rebuilder.take()) throw_busy(work.key, "is being rebuilt");
  std::optional<Error> error;
  try {
    // Of several who have come so far at once, the one with the next number goes on. So numbers have no gaps, and who
    // cleans up knows which one was replaced.
    if (generation != from + 1) throw_busy(work.key, "is being rebuilt");
    rebuilder.run();
  } catch (...) {
    error = detail::current_error();
  }
  if (!rebuilder.has_switched()) {
    try {
      discard(work, keeper, generation);
    } catch (...) {  // The next rebuild does it.
    }
    if (error) throw Error(*error);
    throw_busy(work.key, "was taken over");
  }
  rebuilder.give_back();
  try {
    in_read_model(work, [&](driver::ReadModelTransaction& transaction) {
      return drop_replaced(work, transaction, from, generation);
    });
  } catch (...) {  // The switch is done. The next rebuild drops it.
    if (work.options.trouble) work.options.trouble(detail::current_error());
  }
  return generation;
}

void reset_projection(EventStore& store, Projection& projection, const ProjectionOptions& options) {
  const ProjectionWork work(store, projection, options);
  LeaseKeeper keeper(store, work.holder, work.options.lease);
  const std::optional<driver::ProjectionState> state = store.driver().find_projection(work.key);
  if (!state) return;
  if (state->kind != driver::ProjectionKind::inline_projection) {
    driver::expect_same_use(*state, state->parts, driver::ProjectionKind::projection);
  }
  Leases leases(keeper);
  for (const driver::PartState& part : state->checkpoints) {
    if (!leases.add(part.key)) throw_busy(work.key, "is running");
  }
  // Without tables and at 0: should this die before the next step, it begins like a new one.
  const bool dropped = in_read_model(work, [&](driver::ReadModelTransaction& transaction) {
    if (state->active_generation > 1) drop_tables(work, transaction, state->active_generation - 1);
    for (const std::int32_t generation : generations(*state)) drop_tables(work, transaction, generation);
    return move_all(transaction, leases.all(), Position(0));
  });
  if (!dropped) throw_busy(work.key, "was taken over");
  store.driver().remove_projection(work.key);
  leases.forget();
}

void forget_progress(EventStore& store, const driver::ProjectionKey& key) {
  LeaseKeeper keeper(store, detail::new_holder(), ProjectionOptions().lease);
  const std::optional<driver::ProjectionState> state = store.driver().find_projection(key);
  if (!state) return;
  Leases leases(keeper);
  for (const driver::PartState& part : state->checkpoints) {
    if (!leases.add(part.key)) throw_busy(key, "is running");
  }
  store.driver().remove_projection(key);
  leases.forget();
}

std::vector<ProjectionStatus> projection_statuses(EventStore& store) {
  const Position log_end = store.log_end();
  std::vector<ProjectionStatus> statuses;
  for (driver::ProjectionState& state : store.driver().list_projections()) {
    std::int64_t lag = 0;
    const bool is_inline = state.kind == driver::ProjectionKind::inline_projection;
    for (const driver::PartState& part : state.checkpoints) {
      // One that is a part of each append has no checkpoint that moves.
      if (part.key.generation != state.active_generation || is_inline) continue;
      lag = std::max(lag, log_end.value() - part.position.value());
    }
    statuses.push_back({std::move(state), log_end, lag});
  }
  return statuses;
}

}  // namespace stele
