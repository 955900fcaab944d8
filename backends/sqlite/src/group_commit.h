// Appends of many threads in one transaction and one fsync.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "session.h"
#include "stele/driver/driver.h"
#include "stele_soci/lease_pool.h"

namespace stele::sqlite {

using SessionPool = soci_backend::LeasePool<Session>;

/// Lets one of the waiting callers write for all of them (the leader), as LevelDB's writers do: a lone caller pays no
/// change of thread, and eight callers share a commit. A caller gets its answer after the commit that made it durable.
///
/// Appends check everything before they write, so they leave nothing to undo when they are refused. When one fails
/// otherwise (disk full, a CHECK), the transaction is rolled back and each append is executed in a transaction of its
/// own, so that only the failing one sees the error.
class GroupCommit {
 public:
  GroupCommit(SessionPool& writers, std::chrono::milliseconds busy_timeout) noexcept
      : writers_(writers), busy_timeout_(busy_timeout) {}

  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends);

 private:
  struct Ticket {
    std::span<const driver::PreparedAppend> appends;
    std::chrono::steady_clock::time_point deadline;
    std::vector<driver::AppendAnswer> answers;
    std::optional<Error> error;
    bool done = false;
    std::condition_variable changed;
  };

  void lead(std::unique_lock<std::mutex>& lock, Ticket& own);
  void wait_for_company(std::unique_lock<std::mutex>& lock);
  void execute(std::span<Ticket* const> group);
  /// Puts it in front of those that wait. False without memory for that.
  bool wait_again(Ticket& ticket) noexcept;

  SessionPool& writers_;
  const std::chrono::milliseconds busy_timeout_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Ticket*> waiting_;
  bool leading_ = false;
  std::size_t expected_company_ = 1;  ///< How many callers there were around the last commit.
  std::chrono::steady_clock::duration last_commit_{};
};

}  // namespace stele::sqlite
