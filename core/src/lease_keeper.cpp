#include "lease_keeper.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "stele/uuid.h"

namespace stele::detail {

using std::chrono::milliseconds;

namespace {
// After a renewal, so that who waits for it has a turn. One that takes as long as the lease is due again at once.
constexpr milliseconds least_pause{10};

constexpr milliseconds least_idle_limit{5'000};
}  // namespace

milliseconds idle_limit(milliseconds lease) {
  return std::max(2 * lease, least_idle_limit);
}

std::string new_holder() {
  std::array<char, 64> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  const std::string random = Uuid::v7().to_string().substr(24);
  return std::string(host.data()) + ":" + std::to_string(::getpid()) + ":" + random;
}

LeaseKeeper::LeaseKeeper(EventStore& store, std::string holder, milliseconds time)
    : store_(store), holder_(std::move(holder)), time_(time) {}

LeaseKeeper::~LeaseKeeper() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<driver::Lease> LeaseKeeper::acquire(const driver::PartKey& key) {
  const Clock::time_point asked = Clock::now();
  std::optional<driver::Lease> lease = store_.driver().acquire_lease(key, holder_, time_);
  if (!lease) return std::nullopt;
  {
    std::unique_lock lock(mutex_);
    wait_for_renewal(lock, key);
    leases_.insert_or_assign(key, Kept{*lease, asked + time_, asked + time_ / 3});
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
  return lease;
}

bool LeaseKeeper::holds(const driver::PartKey& key) {
  const Clock::time_point asked = Clock::now();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto found = leases_.find(key);
    if (found == leases_.end()) return false;
    if (asked < found->second.renewed_at || Clock::now() < found->second.expires) return true;
    if (found->second.renewing) {
      wait_for_renewal(lock, key);
    } else {
      renew(lock, key);
    }
  }
}

void LeaseKeeper::forget(const driver::PartKey& key) noexcept {
  std::unique_lock lock(mutex_);
  wait_for_renewal(lock, key);
  leases_.erase(key);
}

void LeaseKeeper::release(const driver::PartKey& key) noexcept {
  driver::Lease lease;
  {
    std::unique_lock lock(mutex_);
    wait_for_renewal(lock, key);  // One that arrives after it was given back would take it again.
    const auto found = leases_.find(key);
    if (found == leases_.end()) return;
    lease = std::move(found->second.lease);
    leases_.erase(found);
  }
  try {
    store_.driver().release_lease(lease);
  } catch (...) {
  }
}

void LeaseKeeper::wait_for_renewal(std::unique_lock<std::mutex>& lock, const driver::PartKey& key) {
  changed_.wait(lock, [&] {
    const auto found = leases_.find(key);
    return found == leases_.end() || !found->second.renewing;
  });
}

// The entry stays while it is being renewed, and nobody else renews it.
void LeaseKeeper::renew(std::unique_lock<std::mutex>& lock, const driver::PartKey& key) {
  Kept& kept = leases_.at(key);
  kept.renewing = true;
  const driver::Lease lease = kept.lease;
  const auto done = [&] {
    lock.lock();
    kept.renewing = false;
    changed_.notify_all();
  };
  lock.unlock();
  const Clock::time_point asked = Clock::now();
  bool renewed = false;
  try {
    renewed = store_.driver().renew_lease(lease, time_);
  } catch (...) {
    done();
    kept.renew_at = Clock::now() + std::max(time_ / 10, least_pause);
    throw;
  }
  done();
  if (renewed) {
    kept.renewed_at = Clock::now();
    kept.expires = asked + time_;
    kept.renew_at = std::max<Clock::time_point>(asked + time_ / 3, kept.renewed_at + std::min(time_ / 3, least_pause));
  } else {
    leases_.erase(key);
  }
}

void LeaseKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    const auto next = std::min_element(leases_.begin(), leases_.end(), [](const auto& a, const auto& b) {
      return a.second.renewing != b.second.renewing ? b.second.renewing : a.second.renew_at < b.second.renew_at;
    });
    if (next == leases_.end() || next->second.renewing) {
      changed_.wait(lock);
    } else if (Clock::now() < next->second.renew_at) {
      const Clock::time_point renew_at = next->second.renew_at;
      changed_.wait_until(lock, renew_at);
    } else {
      try {
        renew(lock, driver::PartKey(next->first));
      } catch (...) {  // Tried again soon; holds() tells who has to know.
      }
    }
  }
}

}  // namespace stele::detail
