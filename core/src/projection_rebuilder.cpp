#include "projection_rebuilder.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace stele::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long the active generation's runners may be held up while this one applies what they have come to since.
constexpr milliseconds first_hold{100};

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
      pages_(work.store, work.filter, work.options.batch, {}),
      hold_(first_hold) {}

void Rebuilder::run() {
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
    const std::optional<Position> position = acquire(to_);
    if (position && is_active(from_)) {
      fence_ = leases().front().fence;
      // Also when it begins again: a crash of the server may have taken them back.
      if (*position > Position(0) || make_tables()) return position;
      forget();
      return std::nullopt;
    }
  }
  // If the answer to its commit was lost, this is how it is known. Who lost its lease may find another's generation of
  // the same number.
  switched_ = state && state->active_generation == to_ && is_own(*state);
  follower_->stop();
  return std::nullopt;
}

bool Rebuilder::is_active(std::int32_t generation) {
  const std::optional<driver::ProjectionState> state = work().store.driver().find_projection(work().key);
  return state && state->active_generation == generation;
}

bool Rebuilder::is_own(const driver::ProjectionState& state) const {
  return fence_ && std::any_of(state.checkpoints.begin(), state.checkpoints.end(), [&](const driver::PartState& part) {
           return part.key == work().part(to_, 0) && part.holder == work().holder && part.fence == *fence_;
         });
}

milliseconds Rebuilder::idle(Position position) {
  Switch result = Switch::lost;
  try {
    result = switch_at(position);
  } catch (const Error&) {
    forget();
    throw;
  }
  switched_ = result == Switch::done;
  if (switched_) follower_->stop();
  if (result == Switch::lost) forget();  // begin() says what was.
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
Rebuilder::Switch Rebuilder::switch_at(Position position) {
  const std::vector<driver::PartState> before = active_parts();
  Switch result = Switch::lost;
  const bool committed = in_read_model(work(), [&](driver::ReadModelTransaction& transaction) {
    const bool answers = answers_inside();
    if (!answers && (furthest(before) > position || !stand_still(transaction, before))) {
      result = Switch::not_yet;
      return false;
    }
    if (!transaction.activate(work().key, from_, to_)) return false;
    if (!catch_up(transaction, position, furthest(answers ? active_parts() : before))) {
      result = Switch::not_yet;
      return false;
    }
    if (!move_all(transaction, leases(), position)) return false;
    ProjectionContext context = work().context(transaction, to_);
    work().projection.activate(context);
    return true;
  });
  return committed ? Switch::done : result;
}

bool Rebuilder::catch_up(driver::ReadModelTransaction& transaction, Position& position, Position goal) {
  ProjectionContext context = work().context(transaction, to_);
  const steady_clock::time_point end = steady_clock::now() + hold_;
  while (position < goal) {
    if (steady_clock::now() > end) {
      // Others apply faster than this one thread: with more time it comes to an end all the same.
      hold_ *= 2;
      return false;
    }
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
