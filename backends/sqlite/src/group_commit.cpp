#include "group_commit.h"

#include <algorithm>
#include <array>
#include <new>

#include "append.h"
#include "errors.h"

namespace stele::sqlite {
namespace {

using driver::AppendAnswer;
using std::chrono::steady_clock;

constexpr std::size_t max_group = 256;
// A leader may wait this part of a commit's time, and never longer than this, for callers that just got their answers
// to come back with their next append. Without it eight callers settle into groups of one and seven in turn.
constexpr int company_share = 8;
constexpr auto max_company_wait = std::chrono::microseconds(500);

void run_together(Session& session, LogEnd& log_end, std::span<const driver::PreparedAppend> appends,
                  std::vector<AppendAnswer>& answers) {
  for (const driver::PreparedAppend& append : appends) {
    answers.push_back({append_in_transaction(session, log_end, append), std::nullopt});
  }
}

/// Each in a transaction of its own, none waiting for locks behind the deadline.
void run_apart(Session& session, std::span<const driver::PreparedAppend> appends, std::vector<AppendAnswer>& answers) {
  for (const driver::PreparedAppend& append : appends) {
    AppendAnswer answer;
    try {
      Transaction transaction(session, Transaction::Kind::write);
      LogEnd log_end(session);
      answer.result = append_in_transaction(session, log_end, append);
      transaction.commit();
    } catch (const Error& error) {
      answer.error = error;
    } catch (const std::bad_alloc&) {  // Before the commit: SQLite reports its own lack of memory as an error.
      answer.error = make_error(ErrorCode::internal, "append: out of memory");
    }
    answers.push_back(std::move(answer));
  }
}

}  // namespace

std::vector<AppendAnswer> GroupCommit::append(std::span<const driver::PreparedAppend> appends) {
  Ticket ticket;
  ticket.appends = appends;
  ticket.answers.reserve(appends.size());  // So that nothing can fail between a commit and its answer.
  ticket.deadline = steady_clock::now() + busy_timeout_;
  std::unique_lock lock(mutex_);
  waiting_.push_back(&ticket);
  arrived_.notify_one();
  while (!ticket.done) {
    if (!leading_ && waiting_.front() == &ticket) {
      lead(lock, ticket);
    } else {
      ticket.changed.wait(lock);
    }
  }
  lock.unlock();
  if (ticket.error) throw *ticket.error;
  return std::move(ticket.answers);
}

void GroupCommit::wait_for_company(std::unique_lock<std::mutex>& lock) {
  const std::size_t expected = std::min(expected_company_, max_group);
  if (waiting_.size() >= expected) return;
  const auto wait = std::min<steady_clock::duration>(last_commit_ / company_share, max_company_wait);
  arrived_.wait_for(lock, wait, [&] { return waiting_.size() >= expected; });
}

void GroupCommit::lead(std::unique_lock<std::mutex>& lock, Ticket& own) {
  leading_ = true;
  wait_for_company(lock);
  // Not in a vector: without memory for it, everybody would wait for ever.
  std::array<Ticket*, max_group> tickets{};
  const std::span<Ticket*> group(tickets.data(), std::min(waiting_.size(), max_group));
  const auto last = waiting_.begin() + static_cast<std::ptrdiff_t>(group.size());
  std::copy(waiting_.begin(), last, group.begin());
  waiting_.erase(waiting_.begin(), last);
  lock.unlock();

  const auto start = steady_clock::now();
  execute(group);
  const auto took = steady_clock::now() - start;

  lock.lock();
  last_commit_ = took;
  expected_company_ = group.size() + waiting_.size();
  const auto now = steady_clock::now();
  for (auto at = group.rbegin(); at != group.rend(); ++at) {
    Ticket* ticket = *at;
    // The lock was held by another process for all of the leader's time; who came later still has time left.
    const bool busy = ticket->error && ticket->error->code() == ErrorCode::busy && ticket->answers.empty();
    if (busy && ticket != &own && ticket->deadline > now && wait_again(*ticket)) continue;
    ticket->done = true;
    if (ticket != &own) ticket->changed.notify_one();
  }
  leading_ = false;
  if (!waiting_.empty()) waiting_.front()->changed.notify_one();
}

bool GroupCommit::wait_again(Ticket& ticket) noexcept {
  try {
    waiting_.push_front(&ticket);
  } catch (const std::bad_alloc&) {
    return false;
  }
  ticket.error.reset();
  return true;
}

void GroupCommit::execute(std::span<Ticket* const> group) {
  const auto fail_all = [&](const Error& error) {
    for (Ticket* ticket : group) {
      ticket->answers.clear();
      ticket->error = error;
    }
  };
  try {
    // Who came first has the least time left.
    const steady_clock::time_point deadline = group.front()->deadline;
    SessionPool::Lease session = writers_.lease(deadline);
    session->wait_until(deadline);
    bool all_written = false;
    try {
      Transaction transaction(*session, Transaction::Kind::write);
      LogEnd log_end(*session);
      for (Ticket* ticket : group) run_together(*session, log_end, ticket->appends, ticket->answers);
      all_written = true;
      transaction.commit();
    } catch (const Error& error) {
      if (all_written || error.code() == ErrorCode::busy) {
        fail_all(error);
        return;
      }
      for (Ticket* ticket : group) {
        ticket->answers.clear();
        run_apart(*session, ticket->appends, ticket->answers);
      }
    }
  } catch (const Error& error) {
    fail_all(error);
  } catch (const std::exception&) {
    fail_all(make_error(ErrorCode::internal, "append: out of memory"));
  }
}

}  // namespace stele::sqlite
