#include "projection_rebuilder.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace stele::detail {
namespace {

using std::chrono::milliseconds;

std::vector<std::int32_t> all_parts(std::int32_t count) {
  std::vector<std::int32_t> parts(static_cast<std::size_t>(count));
  std::iota(parts.begin(), parts.end(), 0);
  return parts;
}

}  // namespace

Rebuilder::Rebuilder(const ProjectionWork& work, LeaseKeeper& keeper, std::int32_t from, std::int32_t to)
    : Applier(work, keeper, all_parts(work.options.parts)),
      from_(from),
      to_(to),
      pages_(work.store, work.filter, work.options.batch, {}) {}

void Rebuilder::run() {
  if (!make_tables()) return;
  FollowerOptions options = work().follower_options({});
  options.caught_up = {};
  Follower follower(work().store, std::move(options), *this);
  follower_ = &follower;
  follower.run();
  if (const std::optional<Error> error = follower.error()) throw Error(*error);
}

bool Rebuilder::make_tables() {
  return in_read_model(work(), [&](driver::ReadModelTransaction& transaction) {
    ProjectionContext context = work().context(transaction, to_);
    work().projection.create(context);
    return move_all(transaction, leases(), Position(0));
  });
}

std::optional<Position> Rebuilder::begin() {
  const std::optional<driver::ProjectionState> state = work().store.driver().find_projection(work().key);
  if (state && state->active_generation == from_) {
    if (const std::optional<Position> position = acquire(to_)) return position;
  }
  // If the answer to its commit was lost, this is how it is known.
  switched_ = state && state->active_generation == to_;
  follower_->stop();
  return std::nullopt;
}

milliseconds Rebuilder::idle(Position position) {
  try {
    switched_ = switch_at(position);
  } catch (const Error&) {
    forget();
    throw;
  }
  if (switched_) {
    follower_->stop();
  } else {
    forget();  // begin() says whether it was lost, and otherwise goes on.
  }
  return milliseconds(0);
}

/// Where the active generation's readers may have seen it.
Position Rebuilder::active_position() {
  Position position;
  const std::optional<driver::ProjectionState> state = work().store.driver().find_projection(work().key);
  if (!state) return position;
  for (const driver::PartState& part : state->checkpoints) {
    if (part.key.generation == from_) position = std::max(position, part.position);
  }
  return position;
}

/// The same inside of a transaction, which others do not see yet. A database with one session for everything does not
/// answer then: it was asked a moment ago, and that has to do.
Position Rebuilder::active_position_or(Position asked_before) {
  try {
    return active_position();
  } catch (const Error&) {
    return asked_before;
  }
}

// All of it is here, as of a moment ago. The active generation is held where it is, what it has come to since is
// applied here, and then this is the active one.
bool Rebuilder::switch_at(Position position) {
  const Position before = active_position();
  if (before > position) return false;
  return in_read_model(work(), [&](driver::ReadModelTransaction& transaction) {
    if (!transaction.activate(work().key, from_, to_)) return false;
    const Position goal = active_position_or(before);
    if (!catch_up(transaction, position, goal)) return false;
    if (!move_all(transaction, leases(), position)) return false;
    ProjectionContext context = work().context(transaction, to_);
    work().projection.activate(context);
    return true;
  });
}

bool Rebuilder::catch_up(driver::ReadModelTransaction& transaction, Position& position, Position goal) {
  ProjectionContext context = work().context(transaction, to_);
  while (position < goal) {
    const LogPage page = pages_.read(position);
    if (page.failure || page.scanned_to <= position) return false;
    try {
      for (const RecordedEvent& event : page.events) work().projection.apply(event, context);
    } catch (...) {
      return false;  // It comes again, where the policy for errors holds.
    }
    position = page.scanned_to;
  }
  return true;
}

}  // namespace stele::detail
