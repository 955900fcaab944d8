// A pool of sessions that are lent to one user at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stele/error.h"

namespace stele::soci_backend {

/// Makes sessions when they are first needed, up to a maximum, and keeps them. Thread-safe. Unlike SOCI's pool it has a
/// deadline, and a session that is no longer usable() is closed instead of lent again.
template <class Session>
class LeasePool {
 public:
  using Factory = std::function<std::unique_ptr<Session>()>;

  /// `backend` names the driver in errors.
  LeasePool(std::string_view backend, std::size_t max_sessions, Factory factory)
      : backend_(backend), max_(max_sessions), factory_(std::move(factory)) {}

  class Lease {
   public:
    Lease(LeasePool& pool, std::unique_ptr<Session> session) noexcept : pool_(&pool), session_(std::move(session)) {}
    Lease(Lease&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), session_(std::move(other.session_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (pool_ != nullptr) pool_->give_back(std::move(session_));
    }
    Session& operator*() const noexcept { return *session_; }
    Session* operator->() const noexcept { return session_.get(); }

   private:
    LeasePool* pool_;
    std::unique_ptr<Session> session_;
  };

  /// Throws busy when no session comes free in time, and whatever the factory throws.
  Lease lease(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    if (!free_changed_.wait_until(lock, deadline, [this] { return !free_.empty() || made_ < max_; })) {
      throw Error(ErrorCode::busy, "no session came free in time",
                  {.backend = std::string(backend_),
                   .native_code = 0,
                   .sqlstate = {},
                   .retryable = true,
                   .outcome = Outcome::not_applied});
    }
    if (!free_.empty()) {
      std::unique_ptr<Session> session = std::move(free_.back());
      free_.pop_back();
      return Lease(*this, std::move(session));
    }
    ++made_;
    lock.unlock();
    try {
      return Lease(*this, factory_());
    } catch (...) {
      give_back(nullptr);
      throw;
    }
  }

 private:
  void give_back(std::unique_ptr<Session> session) noexcept {
    if (session != nullptr && !session->usable()) session.reset();
    const std::lock_guard lock(mutex_);
    if (session != nullptr) {
      free_.push_back(std::move(session));
    } else {
      --made_;
    }
    free_changed_.notify_one();
  }

  const std::string_view backend_;
  const std::size_t max_;
  const Factory factory_;
  std::mutex mutex_;
  std::condition_variable free_changed_;
  std::vector<std::unique_ptr<Session>> free_;  // The last one given back is lent first: its caches are warm.
  std::size_t made_ = 0;
};

}  // namespace stele::soci_backend
