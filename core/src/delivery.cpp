#include "delivery.h"

#include <algorithm>
#include <utility>

#include "prepare.h"
#include "utf8.h"

namespace stele::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t name_bytes = 128;

// It is renewed three times in its time.
constexpr milliseconds shortest_lease{10};

// A trickle of events is not worth a transaction for each.
constexpr milliseconds save_interval{250};
// Those who wait for a lease look for it so often, and no seldomer than …
constexpr int looks_in_a_lease = 5;
constexpr milliseconds longest_look{1'000};

[[noreturn]] void refuse(const std::string& field, const char* why) {
  throw Error(ErrorCode::invalid_argument, field + ": " + why);
}

void check_lease(milliseconds lease) {
  if (lease < shortest_lease) refuse("lease", "at least 10 ms");
  if (lease > driver::longest_lease) refuse("lease", "at most an hour");
}

}  // namespace

void check_projection_name(const std::string& name) {
  if (name.empty()) refuse("name", "must not be empty");
  if (name.size() > name_bytes) refuse("name", "at most 128 bytes");
  if (name.find('\0') != std::string::npos) refuse("name", "must not contain NUL");
  if (!is_valid_utf8(name)) refuse("name", "is not valid UTF-8");
}

void check_time(const char* field, milliseconds time) {
  if (time <= milliseconds(0)) refuse(field, "must be longer than nothing");
}

void check_error_policy(const ErrorPolicy& policy) {
  if (policy.retries < 0) refuse("on_error.retries", "must not be negative");
  if (policy.first_pause < milliseconds(0)) refuse("on_error.first_pause", "must not be negative");
  if (policy.longest_pause < policy.first_pause) refuse("on_error.longest_pause", "is shorter than the first one");
}

Delivery::Delivery(EventStore& store, Options options)
    : store_(store), kind_(options.kind), lease_time_(options.lease), checkpoint_every_(options.checkpoint_every) {
  LogReadOptions read;
  read.after = options.start.position().value_or(Position(0));
  read.filter = options.filter;
  check_read(read);
  if (checkpoint_every_ < 1) refuse("checkpoint_every", "must be at least 1");
  if (options.name) {
    check_projection_name(*options.name);
    check_lease(lease_time_);
  }
  start_ = options.start.position() ? *options.start.position() : store.log_end();
  if (!options.name) return;
  const driver::ProjectionKey key{*options.name,
                                  options.filter.tenant.value_or(store.tenant().value_or(std::string()))};
  named_.emplace(store, driver::PartKey{key, 1, 0}, lease_time_);
  acquire();
}

Delivery::~Delivery() {
  if (named_) named_->keeper.release(named_->key);  // If it did not come to end().
}

void Delivery::acquire() {
  store_.driver().open_projection(named_->key.projection, 1, start_, kind_);
  named_->lease = named_->keeper.acquire(named_->key);
}

std::optional<Position> Delivery::begin() {
  if (!named_) return start_;
  Named& named = *named_;
  if (!named.lease || !holds()) {
    acquire();
    if (!named.lease) return std::nullopt;
  }
  named.letters.clear();
  unsaved_ = 0;
  saved_ = named.lease->position;
  return saved_;
}

milliseconds Delivery::again_in() const {
  return std::clamp(lease_time_ / looks_in_a_lease, milliseconds(1), longest_look);
}

bool Delivery::holds() {
  if (!named_) return true;
  if (!named_->lease || !named_->keeper.holds(named_->key)) named_->lease.reset();
  return named_->lease.has_value();
}

bool Delivery::done(Follower& follower, Position position, std::size_t count) {
  follower.handled(position);
  if (!named_) return true;
  unsaved_ += count;
  return (unsaved_ < checkpoint_every_ && named_->letters.empty()) || save(position);
}

// Pages of events that are dropped may go on for long: who begins again is not to see them all again.
bool Delivery::scanned(Position position) {
  if (!named_ || position <= saved_ || steady_clock::now() - saved_at_ < save_interval) return true;
  return save(position);
}

void Delivery::add_dead_letter(Position position, const Uuid& event_id, std::int32_t attempts, const Error& error) {
  Named& named = *named_;
  named.letters.push_back({named.key, position, event_id, attempts, error.what(), {}});
}

void Delivery::dead_letter(const LogPage::Failure& failure, std::int32_t attempts) {
  add_dead_letter(failure.position, failure.event_id, attempts, failure.error);
  save(failure.position);  // If the right was lost, who has it now meets the event again.
}

bool Delivery::save(Position position) {
  Named& named = *named_;
  const auto saved = [&] {
    const std::unique_ptr<driver::ReadModelTransaction> transaction =
        store_.driver().begin_read_model(idle_limit(lease_time_));
    if (!transaction->move_checkpoint(*named.lease, position)) return false;
    for (const driver::DeadLetter& letter : named.letters) transaction->add_dead_letter(letter);
    transaction->commit();
    return true;
  };
  if (!saved() && !(find_checkpoint() && saved())) {
    named.keeper.forget(named.key);
    named.lease.reset();
    return false;
  }
  named.lease->position = position;
  named.letters.clear();
  unsaved_ = 0;
  saved_ = position;
  saved_at_ = steady_clock::now();
  return true;
}

// A crash of the server may have taken back the last checkpoint, or the answer to its commit was lost. What was handled
// stays handled, whatever the database says: while nobody else was given the lease, it goes on from here.
bool Delivery::find_checkpoint() {
  driver::Lease& lease = *named_->lease;
  const std::optional<driver::ProjectionState> state = store_.driver().find_projection(lease.key.projection);
  if (!state) return false;
  const auto part = std::find_if(state->checkpoints.begin(), state->checkpoints.end(), [&](const auto& checkpoint) {
    return checkpoint.key == lease.key && checkpoint.fence == lease.fence;
  });
  if (part == state->checkpoints.end()) return false;
  lease.position = part->position;
  return true;
}

milliseconds Delivery::idle(Position position) {
  if (!named_ || (position == saved_ && named_->letters.empty())) return milliseconds::max();
  const auto since = std::chrono::duration_cast<milliseconds>(steady_clock::now() - saved_at_);
  if (named_->letters.empty() && since < save_interval) return save_interval - since;
  return save(position) ? milliseconds::max() : milliseconds(0);
}

void Delivery::end(std::optional<Position> position) noexcept {
  if (!named_ || !named_->lease) return;
  try {
    if (position && (*position != saved_ || !named_->letters.empty())) save(*position);
  } catch (...) {  // The database is away. What is not saved comes again.
  }
  named_->keeper.release(named_->key);
  named_->lease.reset();
}

}  // namespace stele::detail
