#include "projection_applier.h"

#include <algorithm>
#include <utility>

namespace stele::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Where a database has one writer, a transaction keeps all others out. With its commit it is to be over in 50 ms.
constexpr milliseconds applying_time{25};
// A checkpoint that only moves past what is not wanted is not worth a transaction for each page.
constexpr milliseconds save_interval{250};
// Somebody has the lease: a rebuild that is about to give it back, or one who takes over. See ProjectionGroup, too.
constexpr milliseconds between_looks{100};

/// Behind the stored event that the one at `at` is of, or was made of.
std::size_t behind(std::span<const RecordedEvent> events, std::size_t at) {
  const Position position = events[at].position;
  while (at < events.size() && events[at].position == position) ++at;
  return at;
}

}  // namespace

std::function<bool(const RecordedEvent&)> wanted_in_part(std::int32_t number, std::int32_t parts) {
  if (parts == 1) return {};
  return [number, parts](const RecordedEvent& event) { return projection_part(event.stream, parts) == number; };
}

Applier::Applier(const ProjectionWork& work, LeaseKeeper& keeper, std::vector<std::int32_t> parts)
    : work_(work), keeper_(keeper), parts_(std::move(parts)) {}

// --- The right to run

std::optional<Position> Applier::acquire(std::int32_t generation) {
  if (generation != generation_) forget();
  generation_ = generation;
  std::vector<driver::Lease> leases;
  for (const std::int32_t number : parts_) {
    std::optional<driver::Lease> lease = keeper_.acquire(work_.part(generation, number));
    if (!lease) {
      for (const driver::Lease& taken : leases) keeper_.release(taken.key);
      leases_.clear();
      at_work_ = false;
      return std::nullopt;
    }
    leases.push_back(std::move(*lease));
  }
  leases_ = std::move(leases);
  saved_ = std::min_element(leases_.begin(), leases_.end(), [](const auto& a, const auto& b) {
             return a.position < b.position;
           })->position;
  seen_committed_ = saved_.value();
  at_work_ = true;
  return saved_;
}

void Applier::forget() noexcept {
  at_work_ = false;
  for (const driver::Lease& lease : leases_) keeper_.forget(lease.key);
  leases_.clear();
}

void Applier::release() noexcept {
  at_work_ = false;
  for (const driver::Lease& lease : leases_) keeper_.release(lease.key);
  leases_.clear();
}

std::optional<Position> Applier::begin() {
  if (retired_) {
    release();
    return std::nullopt;
  }
  const driver::ProjectionState state = work_.store.driver().open_projection(work_.key, work_.options.parts);
  const std::optional<Position> position = acquire(state.active_generation);
  if (!position) return std::nullopt;
  if (*position == Position(0) && !make_tables()) {
    forget();
    return std::nullopt;
  }
  return position;
}

// Parts that begin at once do this one after the other: the switch to what is active holds the projection's row. It is
// taken before the parts' rows, as a rebuild does.
bool Applier::make_tables() {
  return in_read_model(work_, [&](driver::ReadModelTransaction& transaction) {
    if (!transaction.activate(work_.key, generation_, generation_)) return false;
    ProjectionContext context = work_.context(transaction, generation_);
    work_.projection.create(context);
    work_.projection.activate(context);
    return move_all(transaction, leases_, Position(0));
  });
}

milliseconds Applier::again_in() const {
  return between_looks;
}

bool Applier::holds() {
  if (beginning_again_.exchange(false)) forget();
  if (retired_ || leases_.empty()) return false;
  const bool all = std::all_of(leases_.begin(), leases_.end(),
                               [this](const driver::Lease& lease) { return keeper_.holds(lease.key); });
  if (!all) forget();
  return all;
}

// --- Transactions

// Applies events from the first one on, for as long as a transaction may take, and moves the checkpoint behind them.
Applier::Attempt Applier::attempt(std::span<const RecordedEvent> events, Position behind_last) {
  Attempt attempt;
  std::optional<Error> of_database;
  {
    const std::unique_ptr<driver::ReadModelTransaction> transaction = work_.begin();
    std::size_t at = 0;
    try {
      ProjectionContext context = work_.context(*transaction, generation_);
      const steady_clock::time_point enough = steady_clock::now() + applying_time;
      while (at < events.size()) {
        work_.projection.apply(events[at], context);
        ++at;
        const bool whole = at < events.size() && events[at].position != events[at - 1].position;
        if (whole && steady_clock::now() >= enough) break;
      }
    } catch (...) {
      attempt.error = current_error();
      of_database = behind_error(*transaction, work_.key);
    }
    if (!attempt.error) {
      try {
        const Position to = at == events.size() ? behind_last : events[at - 1].position;
        attempt.lost = !move_all(*transaction, leases_, to);
        if (!attempt.lost) {
          transaction->commit();
          moved_to(to);
          attempt.done = at;
        }
      } catch (const Error& error) {
        attempt.error = error;
        if (may_pass(error) || error.outcome() == Outcome::unknown) of_database = error;
      }
    }
    attempt.failed = std::min(at, events.size() - 1);
  }
  // Whoever replaced this generation has dropped its tables, or a crash took back what earlier events made: then it is
  // not the handler that failed.
  if (attempt.error && !of_database && !still_has_leases()) {
    attempt.error.reset();
    attempt.lost = true;
  }
  if (of_database || attempt.lost) forget();
  if (of_database) throw Error(*of_database);
  return attempt;
}

/// By the database's word; and the checkpoints are where they were left.
bool Applier::still_has_leases() {
  const std::optional<driver::ProjectionState> state = work_.store.driver().find_projection(work_.key);
  return state && std::all_of(leases_.begin(), leases_.end(), [&](const driver::Lease& lease) {
           return std::any_of(state->checkpoints.begin(), state->checkpoints.end(), [&](const auto& part) {
             return part.key == lease.key && part.fence == lease.fence && part.position == lease.position;
           });
         });
}

bool Applier::move(Position to, const std::function<void(driver::ReadModelTransaction&)>& write) {
  bool moved = false;
  try {
    moved = in_read_model(work_, [&](driver::ReadModelTransaction& transaction) {
      if (!move_all(transaction, leases_, to)) return false;
      write(transaction);
      return true;
    });
  } catch (...) {
    forget();
    throw;
  }
  if (moved) {
    moved_to(to);
  } else {
    forget();
  }
  return moved;
}

void Applier::moved_to(Position position) {
  for (driver::Lease& lease : leases_) lease.position = position;
  saved_ = position;
  seen_committed_ = position.value();
  saved_at_ = steady_clock::now();
}

bool Applier::put_aside(driver::DeadLetter letter) {
  const Position position = letter.position;
  return move(position, [&](driver::ReadModelTransaction& transaction) { transaction.add_dead_letter(letter); });
}

bool Applier::save(Position position) {
  return move(position, [](driver::ReadModelTransaction&) {});
}

bool Applier::consume(Follower& follower, const LogPage& page) {
  std::span<const RecordedEvent> left = page.events;
  std::size_t alone = 0;      // So many of them go one by one, because one of them failed.
  std::int32_t attempts = 0;  // At the first one, alone.
  while (!left.empty()) {
    if (!follower.proceed()) return false;
    const std::size_t first = behind(left, 0);
    const std::span<const RecordedEvent> now = alone > 0 ? left.first(first) : left;
    const Attempt result = attempt(now, now.size() == left.size() ? page.scanned_to : now.back().position);
    if (result.lost) return false;
    std::size_t done = result.done;
    if (result.error) {
      if (first < now.size()) {
        alone = behind(left, result.failed);
        continue;
      }
      switch (follower.failed(*result.error, ++attempts)) {
        case Follower::Verdict::again: continue;
        case Follower::Verdict::let_go: return false;
        case Follower::Verdict::dead_letter: break;
      }
      const RecordedEvent& event = left.front();
      if (!put_aside({checkpoint_of(event.stream), event.position, event.event_id, attempts, result.error->what(),
                      Timestamp::now()})) {
        return false;
      }
      done = first;
    }
    attempts = 0;
    alone -= std::min(alone, done);
    follower.handled(left[done - 1].position);
    left = left.subspan(done);
  }
  const bool due = page.scanned_to > saved_ && steady_clock::now() - saved_at_ >= save_interval;
  return !due || save(page.scanned_to);
}

driver::PartKey Applier::checkpoint_of(const StreamKey& stream) const {
  const std::int32_t number = projection_part(stream, work_.options.parts);
  const auto found = std::find_if(leases_.begin(), leases_.end(),
                                  [&](const driver::Lease& lease) { return lease.key.part == number; });
  return found == leases_.end() ? leases_.front().key : found->key;
}

void Applier::dead_letter(const LogPage::Failure& failure, std::int32_t attempts) {
  // If the right was lost, who has it now meets the event again.
  put_aside(
      {leases_.front().key, failure.position, failure.event_id, attempts, failure.error.what(), Timestamp::now()});
}

milliseconds Applier::idle(Position position) {
  if (position <= saved_) return milliseconds::max();
  const auto since = std::chrono::duration_cast<milliseconds>(steady_clock::now() - saved_at_);
  if (since < save_interval) return save_interval - since;
  return save(position) ? milliseconds::max() : milliseconds(0);
}

void Applier::end(std::optional<Position> position) noexcept {
  try {
    if (!leases_.empty() && position && *position > saved_) save(*position);
  } catch (...) {  // The database is away. What is not wanted is looked through again.
  }
  release();
}

}  // namespace stele::detail
