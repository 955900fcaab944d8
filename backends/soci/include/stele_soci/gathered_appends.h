// Appends of many threads in few transactions.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/error.h"
#include "stele_soci/append_groups.h"
#include "stele_soci/keys_in_use.h"

namespace stele::soci_backend {

struct GatheringOptions {
  /// How many calls keep a server busy. This machine's processors stand for the server's, which are not known here;
  /// with fewer calls some of them would be idle, with more each append costs more (docs/decisions/0010).
  std::size_t calls_at_once = std::max(std::thread::hardware_concurrency(), 2U);
  /// A call's appends are done one after the other by one of the server's processors. More of them than this save
  /// little more, and keep the other processors waiting. At most max_appends_together.
  std::size_t appends_in_a_call = 8;
  std::chrono::microseconds longest_wait{2'000};
  /// For an append whose stream is in another call of the same store.
  std::chrono::microseconds longest_wait_for_own{200'000};
  /// A call that takes longer waits itself, for a lock or a disk: it does not keep the server busy.
  std::chrono::microseconds stuck_after{20'000};
};

/// Lets a few calls at a time go to the server. The appends that come meanwhile wait together, and go together in one
/// transaction when a call is back: one round trip, one commit and one fsync for all of them. Who comes when there is
/// nobody else goes at once, in a transaction of its own.
///
/// Company is not to cost anybody anything:
/// - An append that fails takes the others of its transaction with it, and a lock that another process holds ends the
///   transaction soon. Then each goes by itself, in its own caller's thread, as if there had been no company.
/// - An append to a stream, or of a command, that is in a call already waits here and not in the database. So those of
/// one
///   stream go together next time, and they hold up nobody else.
/// - Who only waits for the disk to take a commit does not keep the server busy: the next call begins meanwhile.
/// - Calls that take longer than `longest_wait`, because the disk is slow or because they wait for locks, do not hold
/// up
///   others: those that wait go then, on a connection more.
///
/// Thread-safe.
class GatheredAppends {
  using Clock = std::chrono::steady_clock;

 public:
  using Appends = std::span<const driver::PreparedAppend>;
  using Answers = std::vector<driver::AppendAnswer>;
  /// To be called when nothing but the commit is left: another call may have the place. Throws nothing; once is enough.
  using Written = std::function<void()>;
  /// The answer to each; none for one that wrote nothing and should go by itself. Or an Error, whose outcome is
  /// not_applied only if nothing of them was. After anything else that is thrown, nobody knows. Waits for a lock only
  /// for a moment.
  using Together = std::function<std::vector<std::optional<driver::AppendAnswer>>(Appends, const Written&)>;
  /// Answers each, as driver::Driver::append().
  using Alone = std::function<Answers(Appends)>;

  GatheredAppends(GatheringOptions options, Together together, Alone alone)
      : options_(options), together_(std::move(together)), alone_(std::move(alone)) {
    calls_.reserve(most_calls);
  }

  Answers append(Appends appends) {
    if (appends.size() != 1) return alone_(appends);  // Company enough.
    Ticket own(appends.front());
    Answers answers;
    if (wait_for_turn(own) == Turn::leads) answers = lead(own);
    if (own.turn == Turn::failed) throw Error(*own.failure);
    if (own.turn == Turn::alone) return go_alone(own);
    if (own.turn == Turn::answered) answers.push_back(std::move(own.answer));
    return answers;
  }

  struct Load {
    std::size_t calls;
    std::size_t waiting;  ///< Appends.
  };
  Load load() {
    const std::lock_guard lock(mutex_);
    return {calls_.size(), waiting_.size()};
  }

 private:
  // More than any pool has connections. When there are as many, who waits goes alone, and waits for a connection.
  static constexpr std::size_t most_calls = 1'024;
  // A call that takes this many times the longest wait waits itself: it is not counted as one that keeps the server
  // busy.
  static constexpr int stuck_after = 10;

  enum class Turn {
    waits,      ///< In waiting_.
    leads,      ///< Takes those that wait along.
    under_way,  ///< In another's group.
    answered,
    failed,  ///< It may have been applied.
    alone    ///< By itself: nothing of it was applied.
  };

  struct Ticket {
    explicit Ticket(const driver::PreparedAppend& of) : append(&of), keys(of) {}

    const driver::PreparedAppend* append;
    const AppendKeys keys;
    const Clock::time_point arrived = Clock::now();
    Clock::time_point started{};  ///< Of one that leads.
    Turn turn = Turn::waits;
    driver::AppendAnswer answer{};
    std::optional<Error> failure{};  // A copy: no two threads throw one object.
    std::condition_variable changed{};
  };

  /// The leader first. Not a vector: without memory for it, everybody would wait for ever.
  struct Group {
    std::array<Ticket*, max_appends_together> tickets;
    std::size_t size = 0;
  };

  class Call;

  Turn wait_for_turn(Ticket& own) {
    std::unique_lock lock(mutex_);
    if (has_place(own.arrived) && in_use_.are_free(own.keys) && begin(own)) return own.turn;
    waiting_.push_back(&own);
    const auto decided = [&] { return own.turn != Turn::waits; };
    const Clock::time_point last = own.arrived + options_.longest_wait_for_own;
    Clock::time_point until = own.arrived + options_.longest_wait;
    while (!own.changed.wait_until(lock, until, decided)) {
      const bool may_go = in_use_.are_free(own.keys);
      if (may_go || Clock::now() >= last) {
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &own));
        if (!may_go || !begin(own)) own.turn = Turn::alone;
        break;
      }
      until = last;  // When the key comes free before, it is given its turn.
    }
    own.changed.wait(lock, [&] { return own.turn != Turn::under_way; });
    return own.turn;
  }

  bool has_place(Clock::time_point now) const noexcept {
    const Clock::time_point stuck = now - options_.stuck_after;
    const auto busy =
        std::count_if(calls_.begin(), calls_.end(), [&](const Ticket* call) { return call->started > stuck; });
    return static_cast<std::size_t>(busy) < options_.calls_at_once;
  }

  bool begin(Ticket& ticket) noexcept {
    if (calls_.size() == calls_.capacity()) return false;
    calls_.push_back(&ticket);
    in_use_.take(ticket.keys);
    ticket.started = Clock::now();
    ticket.turn = Turn::leads;
    return true;
  }

  Answers lead(Ticket& own) {
    Call call(*this, own);
    const Group group = gather(own);
    if (group.size > 1) {
      send(group, call);
      return {};
    }
    const KeysHeld held(*this, own);
    return alone_({own.append, 1});
  }

  Answers go_alone(Ticket& own) {
    {
      const std::lock_guard lock(mutex_);
      in_use_.take(own.keys);
    }
    const KeysHeld held(*this, own);
    return alone_({own.append, 1});
  }

  /// Whom there is room for. Several of one stream may be among them; what other calls have may not.
  Group gather(Ticket& own) noexcept {
    Group group;
    GroupSize size;
    const std::lock_guard lock(mutex_);
    in_use_.give_back(own.keys);
    size.add(*own.append);
    group.tickets[group.size++] = &own;
    const std::size_t most = std::min(options_.appends_in_a_call, group.tickets.size());
    for (auto at = waiting_.begin(); at != waiting_.end() && group.size < most;) {
      Ticket& next = **at;
      if (!in_use_.are_free(next.keys) || !size.has_room_for(*next.append)) {
        ++at;
        continue;
      }
      size.add(*next.append);
      next.turn = Turn::under_way;
      group.tickets[group.size++] = &next;
      at = waiting_.erase(at);
    }
    for (std::size_t i = 0; i < group.size; ++i) in_use_.take(group.tickets[i]->keys);
    return group;
  }

  /// Throws nothing: the others wait for their answers.
  void send(const Group& group, Call& call) noexcept {
    Turn turn = Turn::alone;
    std::vector<std::optional<driver::AppendAnswer>> answers;
    std::optional<Error> failure;
    try {
      std::vector<driver::PreparedAppend> appends;
      appends.reserve(group.size);
      for (std::size_t i = 0; i < group.size; ++i) appends.push_back(*group.tickets[i]->append);
      turn = Turn::failed;
      answers = together_(appends, [&] {
        if (company_is_complete()) call.end();
      });
      turn = Turn::answered;
    } catch (const Error& error) {
      if (error.outcome() == Outcome::not_applied) turn = Turn::alone;
      failure = error;
    } catch (...) {  // Most likely no memory. Before anything was sent, each goes alone: it may do then.
      failure = broken_off_;
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < group.size; ++i) {
      Ticket& ticket = *group.tickets[i];
      in_use_.give_back(ticket.keys);
      ticket.turn = turn;
      if (turn == Turn::failed) ticket.failure = failure;
      if (turn == Turn::answered && answers[i]) ticket.answer = std::move(*answers[i]);
      if (turn == Turn::answered && !answers[i]) ticket.turn = Turn::alone;
      ticket.changed.notify_one();
    }
  }

  /// Enough wait for a call of their own: while there are fewer, the commit's time brings them together.
  bool company_is_complete() noexcept {
    const std::lock_guard lock(mutex_);
    return waiting_.size() >= options_.appends_in_a_call;
  }

  /// At the end of a call: who may go now?
  void give_turn() noexcept {
    const Clock::time_point now = Clock::now();
    const bool place = has_place(now);
    const auto next = std::find_if(waiting_.begin(), waiting_.end(), [&](const Ticket* ticket) {
      return (place || now - ticket->arrived >= options_.longest_wait) && in_use_.are_free(ticket->keys);
    });
    if (next == waiting_.end()) return;
    Ticket& ticket = **next;
    if (!begin(ticket)) return;
    waiting_.erase(next);
    ticket.changed.notify_one();
  }

  /// From begin() to its end.
  class Call {
   public:
    Call(GatheredAppends& owner, Ticket& ticket) noexcept : owner_(owner), ticket_(ticket) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() {
      end();
      // What this call has held may have been what somebody waits for.
      const std::lock_guard lock(owner_.mutex_);
      owner_.give_turn();
    }

    /// Its place is free.
    void end() noexcept {
      if (std::exchange(ended_, true)) return;
      const std::lock_guard lock(owner_.mutex_);
      owner_.calls_.erase(std::find(owner_.calls_.begin(), owner_.calls_.end(), &ticket_));
      owner_.give_turn();
    }

   private:
    GatheredAppends& owner_;
    Ticket& ticket_;
    bool ended_ = false;
  };

  /// Gives the keys of one that goes alone back.
  class KeysHeld {
   public:
    KeysHeld(GatheredAppends& owner, Ticket& ticket) noexcept : owner_(owner), ticket_(ticket) {}
    KeysHeld(const KeysHeld&) = delete;
    KeysHeld& operator=(const KeysHeld&) = delete;
    ~KeysHeld() {
      const std::lock_guard lock(owner_.mutex_);
      owner_.in_use_.give_back(ticket_.keys);
      owner_.give_turn();
    }

   private:
    GatheredAppends& owner_;
    Ticket& ticket_;
  };

  const GatheringOptions options_;
  /// Made before it is needed: there may be no memory then.
  const Error broken_off_{ErrorCode::internal, "an append that shared its transaction was broken off",
                          Error::Details{{}, 0, {}, false, Outcome::unknown}};
  const Together together_;
  const Alone alone_;
  std::mutex mutex_;
  std::vector<Ticket*> calls_;  // Who leads them.
  std::deque<Ticket*> waiting_;
  KeysInUse in_use_;
};

}  // namespace stele::soci_backend
