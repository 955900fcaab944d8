// Tells those who follow a store's log of appends, so that they need not wait for their next poll.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "stele/driver/driver.h"

namespace stele::detail {

/// One for each store. Appends of this store are signalled by it; one thread, however many are waiting, listens for
/// those of others. The thread is started by the first who waits, and sleeps in the driver's listener. Thread-safe.
class AppendSignal {
 public:
  /// The driver is used until close().
  explicit AppendSignal(driver::Driver& driver) noexcept : driver_(driver) {}
  AppendSignal(const AppendSignal&) = delete;
  AppendSignal& operator=(const AppendSignal&) = delete;
  ~AppendSignal() { close(); }

  /// Something was appended, and can be read.
  void notify() noexcept;

  /// Wakes a follower while it lives. `wake` is called by any thread, under a lock: it must return at once, throw
  /// nothing and call nothing here. It may be called for nothing.
  class Waiter {
   public:
    Waiter(AppendSignal& signal, std::function<void()> wake);
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();  ///< Returns when `wake` is not running and will not be called any more.

   private:
    AppendSignal& signal_;
    std::uint64_t number_;
  };

  /// Ends the thread. Waiters are woken a last time, and hear of nothing after that. Idempotent.
  void close() noexcept;

 private:
  void run() noexcept;
  void wake_all() noexcept;  // Under the mutex.

  driver::Driver& driver_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::function<void()>> waiters_;
  std::uint64_t next_number_ = 0;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace stele::detail
