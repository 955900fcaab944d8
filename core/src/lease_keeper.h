// Keeps leases alive while their holder works, however slow that is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "stele/driver/driver.h"
#include "stele/event_store.h"

namespace stele::detail {

/// Renews the leases of one holder from a thread of its own, which runs as soon as there is one. Thread-safe.
class LeaseKeeper {
 public:
  LeaseKeeper(EventStore& store, std::string holder, std::chrono::milliseconds time);
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;
  ~LeaseKeeper();  ///< Gives nothing back.

  const std::string& holder() const noexcept { return holder_; }

  /// Tries to get it, and keeps it from then on.
  std::optional<driver::Lease> acquire(const driver::PartKey& key);

  /// Whether nobody else has it. When it may have run out, because the database could not be reached for so long, it is
  /// renewed here and now: nobody has it until somebody took it. One renewal that went well is an answer, however long
  /// it took. Throws what the driver throws.
  bool holds(const driver::PartKey& key);

  /// It is lost, as a transaction found out.
  void forget(const driver::PartKey& key) noexcept;

  /// Gives it back, if it is there. Throws nothing: it runs out by itself.
  void release(const driver::PartKey& key) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  struct Kept {
    driver::Lease lease;
    Clock::time_point expires;  // Before the database thinks so.
    Clock::time_point renew_at;
    Clock::time_point renewed_at{};  // When the last renewal was answered.
    bool renewing = false;           // By one thread at a time, without the mutex.
  };

  void run();
  void renew(std::unique_lock<std::mutex>& lock, const driver::PartKey& key);
  void wait_for_renewal(std::unique_lock<std::mutex>& lock, const driver::PartKey& key);

  EventStore& store_;
  const std::string holder_;
  const std::chrono::milliseconds time_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<driver::PartKey, Kept> leases_;
  bool closing_ = false;
  std::thread thread_;
};

/// How long a transaction of who has such a lease may be left alone before a server may end it. Others want what it has
/// locked as soon as the lease has run out; but no handler that only is slow is to be cut off.
std::chrono::milliseconds idle_limit(std::chrono::milliseconds lease);

/// Host, process and a random number, to be recognised by: at most 128 bytes.
std::string new_holder();

}  // namespace stele::detail
