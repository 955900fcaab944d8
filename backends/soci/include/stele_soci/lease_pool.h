// A pool of sessions that are lent to one user at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/error.h"

namespace stele::soci_backend {

struct PoolOptions {
  std::size_t max_sessions = 1;
  /// A session that was not used for this long is asked whether it still lives before it is lent. None: never.
  std::optional<std::chrono::milliseconds> check_after_idle{};
  /// A session this old is closed instead of lent again: servers restart, addresses move. None: never.
  std::optional<std::chrono::milliseconds> max_lifetime{};
};

/// Makes sessions when they are first needed, up to a maximum, and keeps them. Thread-safe. Unlike SOCI's pool it has a
/// deadline, and a session that is no longer usable() is closed instead of lent again. Sessions of a server have
/// alive(bool ask), too: without asking it only looks whether the connection was closed meanwhile.
template <class Session>
class LeasePool {
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::unique_ptr<Session> session;
    Clock::time_point made;
    Clock::time_point used;
  };

 public:
  using Factory = std::function<std::unique_ptr<Session>()>;

  /// `backend` names the driver in errors.
  LeasePool(std::string_view backend, PoolOptions options, Factory factory)
      : backend_(backend), options_(options), factory_(std::move(factory)) {}

  class Lease {
   public:
    Lease(LeasePool& pool, Entry entry) noexcept : pool_(&pool), entry_(std::move(entry)) {}
    Lease(Lease&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), entry_(std::move(other.entry_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (pool_ != nullptr) pool_->give_back(std::move(entry_));
    }
    Session& operator*() const noexcept { return *entry_.session; }
    Session* operator->() const noexcept { return entry_.session.get(); }

   private:
    LeasePool* pool_;
    Entry entry_;
  };

  /// Throws busy when no session comes free in time, and whatever the factory throws.
  Lease lease(Clock::time_point deadline) {
    for (;;) {
      Entry entry = take(deadline);
      if (entry.session == nullptr) return Lease(*this, make());
      if (fit(entry)) return Lease(*this, std::move(entry));
      entry.session.reset();
      give_back(std::move(entry));
    }
  }

  driver::ConnectionStats stats() {
    const std::lock_guard lock(mutex_);
    driver::ConnectionStats stats = stats_;
    stats.open = made_;
    stats.in_use = made_ - free_.size();
    return stats;
  }

 private:
  /// An idle session, or the right to make one.
  Entry take(Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    ++stats_.waiting;
    const bool got =
        free_changed_.wait_until(lock, deadline, [this] { return !free_.empty() || made_ < options_.max_sessions; });
    --stats_.waiting;
    if (!got) {
      ++stats_.timed_out;
      throw Error(ErrorCode::busy, "no session came free in time",
                  {.backend = std::string(backend_),
                   .native_code = 0,
                   .sqlstate = {},
                   .retryable = true,
                   .outcome = Outcome::not_applied});
    }
    if (free_.empty()) {
      ++made_;
      return {};
    }
    Entry entry = std::move(free_.back());
    free_.pop_back();
    return entry;
  }

  Entry make() {
    try {
      Entry entry{factory_(), Clock::now(), {}};
      const std::lock_guard lock(mutex_);
      ++stats_.opened;
      return entry;
    } catch (...) {
      give_back({});
      throw;
    }
  }

  bool fit(const Entry& entry) const {
    const Clock::time_point now = Clock::now();
    if (options_.max_lifetime && now - entry.made >= *options_.max_lifetime) return false;
    if constexpr (requires(Session & session) { session.alive(true); }) {
      return entry.session->alive(options_.check_after_idle && now - entry.used >= *options_.check_after_idle);
    }
    return true;
  }

  void give_back(Entry entry) noexcept {
    if (entry.session != nullptr && !entry.session->usable()) entry.session.reset();
    entry.used = Clock::now();
    const std::lock_guard lock(mutex_);
    if (entry.session != nullptr) {
      free_.push_back(std::move(entry));
    } else {
      --made_;
      ++stats_.dropped;
    }
    free_changed_.notify_one();
  }

  const std::string_view backend_;
  const PoolOptions options_;
  const Factory factory_;
  std::mutex mutex_;
  std::condition_variable free_changed_;
  std::vector<Entry> free_;  // The last one given back is lent first: its caches are warm.
  std::size_t made_ = 0;
  driver::ConnectionStats stats_;
};

}  // namespace stele::soci_backend
