// Appends on a server: several of one call share a transaction, and all of them wait together.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/error.h"
#include "stele_soci/lease_pool.h"

namespace stele::soci_backend {

/// Appends that share a transaction: each holds its locks until the common commit, the server has room for so many
/// locks only, and all of it is in memory before it is sent. So neither too many nor too large.
inline constexpr std::size_t max_appends_together = 100;
inline constexpr std::size_t max_events_together = 5'000;
inline constexpr std::size_t max_locks_together = 500;
inline constexpr std::size_t max_bytes_together = 8 * 1024 * 1024;

class GroupSize {
 public:
  /// The first one always has.
  bool has_room_for(const driver::PreparedAppend& append) const {
    if (appends_ == 0) return true;
    GroupSize with = *this;
    with.add(append);
    return with.appends_ <= max_appends_together && with.events_ <= max_events_together &&
           with.locks_ <= max_locks_together && with.bytes_ <= max_bytes_together;
  }

  void add(const driver::PreparedAppend& append) {
    ++appends_;
    locks_ += append.streams.size() + append.conditions.size() + (append.command ? 1 : 0);
    if (append.command && append.command->command->data) bytes_ += append.command->command->data->text().size();
    for (const driver::PreparedStream& stream : append.streams) {
      events_ += stream.events.size();
      for (const driver::PreparedEvent& event : stream.events) bytes_ += bytes_of(*event.event);
    }
  }

 private:
  /// Of what may be large.
  static std::size_t bytes_of(const NewEvent& event) {
    std::size_t bytes = event.data.text().size();
    for (const auto* json : {&event.metadata, &event.policy_context, &event.model_context, &event.display}) {
      if (*json) bytes += (*json)->text().size();
    }
    return bytes;
  }

  std::size_t appends_ = 0;
  std::size_t events_ = 0;
  std::size_t locks_ = 0;
  std::size_t bytes_ = 0;
};

/// How many of the appends, from the first, go into one transaction.
inline std::size_t size_of_transaction(std::span<const driver::PreparedAppend> appends) {
  GroupSize size;
  const auto last = std::find_if(appends.begin(), appends.end(), [&](const driver::PreparedAppend& append) {
    const bool room = size.has_room_for(append);
    if (room) size.add(append);
    return !room;
  });
  return static_cast<std::size_t>(last - appends.begin());
}

/// How long the appends of one call wait for locks and connections that others hold: all together for the busy timeout,
/// and then each for its share of another one. So the call ends in time however many they are, and one that has to wait
/// for a moment only, or for nothing, still succeeds behind one that has waited in vain.
class Patience {
 public:
  Patience(std::chrono::milliseconds in_all, std::size_t appends)
      : left_(in_all), share_(std::max(in_all / static_cast<std::int64_t>(appends), std::chrono::milliseconds(1))) {}

  std::chrono::milliseconds next() const { return std::max(left_, share_); }
  void spend_since(std::chrono::steady_clock::time_point started) {
    left_ -= std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  }

 private:
  std::chrono::milliseconds left_;
  const std::chrono::milliseconds share_;
};

/// Answers each append, in their order; see driver::Driver::append.
///
/// `together(session, appends)` answers several in one transaction, or throws: with outcome not_applied only when
/// nothing was applied. `one(session, append, deadline)` does a single one. LockTimeout is the backend's, made of a
/// session.
template <class LockTimeout, class Session, class Together, class One>
std::vector<driver::AppendAnswer> append_in_groups(LeasePool<Session>& sessions, std::chrono::milliseconds busy_timeout,
                                                   std::span<const driver::PreparedAppend> appends, Together together,
                                                   One one) {
  using std::chrono::steady_clock;
  std::vector<driver::AppendAnswer> answers;
  if (appends.empty()) return answers;
  answers.reserve(appends.size());
  Patience patience(busy_timeout, appends.size());

  /// Whether they were answered. If not, nothing of them was applied, and each has to be tried by itself.
  const auto answered_together = [&](std::span<const driver::PreparedAppend> group) {
    if (group.size() == 1) return false;
    const auto started = steady_clock::now();
    try {
      const auto session = sessions.lease(started + patience.next());
      LockTimeout lock_timeout(*session);
      lock_timeout.set(patience.next());
      for (driver::AppendAnswer& answer : together(*session, group)) answers.push_back(std::move(answer));
      return true;
    } catch (const Error& error) {
      if (error.outcome() != Outcome::not_applied) {
        answers.insert(answers.end(), group.size(), driver::AppendAnswer{{}, error});
        return true;
      }
    }
    patience.spend_since(started);
    return false;
  };

  const auto answer_each = [&](std::span<const driver::PreparedAppend> group) {
    const bool had_failed = group.size() > 1;
    while (!group.empty()) {
      auto started = steady_clock::now();
      try {
        const auto session = sessions.lease(started + patience.next());
        LockTimeout lock_timeout(*session);
        do {
          driver::AppendAnswer& answer = answers.emplace_back();
          try {
            lock_timeout.set(patience.next());
            answer.result = one(*session, group.front(), started + patience.next());
          } catch (const Error& error) {
            answer.error = error;
          }
          // What succeeds at the first go was at work, and not waiting.
          if (had_failed || answer.error) patience.spend_since(started);
          started = steady_clock::now();
          group = group.subspan(1);
        } while (!group.empty() && session->usable());
      } catch (const Error& error) {  // There is no connection, for none of them.
        patience.spend_since(started);
        answers.insert(answers.end(), group.size(), driver::AppendAnswer{{}, error});
        return;
      }
    }
  };

  while (!appends.empty()) {
    const auto group = appends.first(size_of_transaction(appends));
    if (!answered_together(group)) answer_each(group);
    appends = appends.subspan(group.size());
  }
  return answers;
}

}  // namespace stele::soci_backend
