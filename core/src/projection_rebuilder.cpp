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

/// Where readers may have seen it.
Position furthest(const std::vector<driver::PartState>& parts) {
  Position position;
  for (const driver::PartState& part : parts) position = std::max(position, part.position);
  return position;
}

/// Whether they are where they were, and stay there until the transaction is over.
bool stand_still(driver::ReadModelTransaction& transaction, const std::vector<driver::PartState>& parts) {
  return std::all_of(parts.begin(), parts.end(), [&](const driver::PartState& part) {
    return transaction.move_checkpoint({part.key, part.holder, part.fence, part.position}, part.position);
  });
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

/// The active generation's checkpoints.
std::vector<driver::PartState> Rebuilder::active_parts() {
  std::vector<driver::PartState> parts;
  if (std::optional<driver::ProjectionState> state = work().store.driver().find_projection(work().key)) {
    parts = std::move(state->checkpoints);
    std::erase_if(parts, [&](const driver::PartState& part) { return part.key.generation != from_; });
  }
  return parts;
}

/// Whether the database answers while a transaction is open: not where there is one session for everything.
bool Rebuilder::answers_inside() {
  try {
    active_parts();
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_argument) throw;
    return false;
  }
}

// All of it is here, as of a moment ago. The active generation is held where it is, what it has come to since is
// applied here, and then this is the active one.
bool Rebuilder::switch_at(Position position) {
  const std::vector<driver::PartState> before = active_parts();
  if (furthest(before) > position) return false;
  return in_read_model(work(), [&](driver::ReadModelTransaction& transaction) {
    const bool answers = answers_inside();
    if (!answers && !stand_still(transaction, before)) return false;
    if (!transaction.activate(work().key, from_, to_)) return false;
    if (!catch_up(transaction, position, furthest(answers ? active_parts() : before))) return false;
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
