// Appends of many threads in few transactions.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/error.h"
#include "stele_soci/append_groups.h"

namespace stele::soci_backend {

struct GatheringOptions {
  /// How many calls keep a server busy. This machine's processors stand for the server's, which are not known here;
  /// with fewer calls some of them would be idle, with more each append costs more (docs/decisions/0010).
  std::size_t calls_at_once = std::max(std::thread::hardware_concurrency(), 2U);
  std::chrono::microseconds longest_wait{2'000};
};

/// Lets a few calls at a time go to the server. The appends that come meanwhile wait together, and go together in one
/// transaction when a call is back: one round trip, one commit and one fsync for all of them. Who comes when there is
/// nobody else goes at once, in a transaction of its own.
///
/// Company costs nobody a guarantee. An append that fails takes the others of its transaction with it, and a lock that
/// somebody else holds ends the transaction soon; then each goes by itself, in its own caller's thread, as if there had
/// been no company. And calls that take longer than `longest_wait`, because the disk is slow or because they wait for
/// locks, do not hold up others: those that wait go then, on a connection more. Thread-safe.
class GatheredAppends {
 public:
  using Appends = std::span<const driver::PreparedAppend>;
  using Answers = std::vector<driver::AppendAnswer>;
  /// All of them, or an error: with outcome unknown, or when nothing was applied. Waits for a lock only for a moment.
  using Together = std::function<Answers(Appends)>;
  /// Answers each, as driver::Driver::append().
  using Alone = std::function<Answers(Appends)>;

  GatheredAppends(GatheringOptions options, Together together, Alone alone)
      : options_(options), together_(std::move(together)), alone_(std::move(alone)) {}

  Answers append(Appends appends) {
    if (appends.size() != 1) return alone_(appends);  // Company enough.
    Ticket own{&appends.front()};
    Answers answers;
    if (wait_for_turn(own) == Turn::leads) answers = lead(own);
    if (own.turn == Turn::failed) std::rethrow_exception(own.failure);
    if (own.turn == Turn::alone) return alone_(appends);
    if (own.turn == Turn::answered) answers.push_back(std::move(own.answer));
    return answers;
  }

  struct Load {
    std::size_t under_way;  ///< Calls.
    std::size_t waiting;    ///< Appends.
  };
  Load load() {
    const std::lock_guard lock(mutex_);
    return {under_way_, waiting_.size()};
  }

 private:
  enum class Turn {
    waits,      ///< In waiting_.
    leads,      ///< Takes those that wait along.
    under_way,  ///< In another's group.
    answered,
    failed,  ///< Nobody knows whether it was applied.
    alone    ///< By itself: nothing of it was applied.
  };

  struct Ticket {
    const driver::PreparedAppend* append;
    Turn turn = Turn::waits;
    driver::AppendAnswer answer{};
    std::exception_ptr failure{};
    std::condition_variable changed{};
  };

  /// The leader first. Not a vector: without memory for it, everybody would wait for ever.
  struct Group {
    std::array<Ticket*, max_appends_together> tickets;
    std::size_t size = 0;
  };

  /// A call on its way. At its end those that wait get the place.
  class Place {
   public:
    explicit Place(GatheredAppends& owner) noexcept : owner_(owner) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { owner_.hand_over(); }

   private:
    GatheredAppends& owner_;
  };

  Turn wait_for_turn(Ticket& own) {
    std::unique_lock lock(mutex_);
    if (under_way_ >= options_.calls_at_once) {
      waiting_.push_back(&own);
      if (own.changed.wait_for(lock, options_.longest_wait, [&] { return own.turn != Turn::waits; })) {
        own.changed.wait(lock, [&] { return own.turn != Turn::under_way; });
        return own.turn;
      }
      waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &own));
    }
    ++under_way_;
    return own.turn = Turn::leads;
  }

  Answers lead(Ticket& own) {
    const Place place(*this);
    Group group = gather(own);
    if (group.size == 1) return alone_({own.append, 1});
    send(group);
    return {};
  }

  Group gather(Ticket& own) {
    Group group;
    group.tickets[group.size++] = &own;
    std::size_t events = events_of(*own.append);
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty() && group.size < group.tickets.size()) {
      Ticket& next = *waiting_.front();
      events += events_of(*next.append);
      if (events > max_events_together) break;
      waiting_.pop_front();
      next.turn = Turn::under_way;
      group.tickets[group.size++] = &next;
    }
    return group;
  }

  /// Throws nothing: the others wait for their answers.
  void send(const Group& group) noexcept {
    Turn turn = Turn::alone;
    Answers answers;
    std::exception_ptr failure;
    try {
      std::vector<driver::PreparedAppend> appends;
      appends.reserve(group.size);
      for (std::size_t i = 0; i < group.size; ++i) appends.push_back(*group.tickets[i]->append);
      turn = Turn::failed;
      answers = together_(appends);
      turn = Turn::answered;
    } catch (const Error& error) {
      if (error.outcome() != Outcome::unknown) turn = Turn::alone;
      failure = std::current_exception();
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < group.size; ++i) {
      Ticket& ticket = *group.tickets[i];
      if (turn == Turn::answered) ticket.answer = std::move(answers[i]);
      if (turn == Turn::failed) ticket.failure = failure;
      ticket.turn = turn;
      ticket.changed.notify_one();
    }
  }

  void hand_over() noexcept {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() || under_way_ > options_.calls_at_once) {
      --under_way_;
      return;
    }
    Ticket& next = *waiting_.front();
    waiting_.pop_front();
    next.turn = Turn::leads;
    next.changed.notify_one();
  }

  const GatheringOptions options_;
  const Together together_;
  const Alone alone_;
  std::mutex mutex_;
  std::size_t under_way_ = 0;
  std::deque<Ticket*> waiting_;
};

}  // namespace stele::soci_backend
