// A driver whose calls a test counts, holds up and lets fail.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "memory_store.h"
#include "stele/testing/forwarding_driver.h"

namespace stele::testing {

/// How long a test waits for what has to come. It fails afterwards, so no test depends on how fast the machine is.
constexpr std::chrono::seconds patience{30};

inline Error unreachable() {
  Error::Details details;
  details.retryable = true;
  return Error(ErrorCode::cannot_connect, "the server is away", details);
}

/// Shared by a test and its drivers. Thread-safe.
class Control {
 public:
  /// Called at each later call of this function, with its number from 1; may wait or throw. Empty: nothing happens.
  void at(const std::string& function, std::function<void(int)> hook) {
    const std::lock_guard lock(mutex_);
    hooks_[function] = {std::move(hook), 0};
  }
  void fail(const std::string& function, int times) {
    at(function, [times](int call) {
      if (call <= times) throw unreachable();
    });
  }

  void call(const std::string& function) {
    std::function<void(int)> hook;
    int number = 0;
    {
      const std::lock_guard lock(mutex_);
      ++counts_[function];
      changed_.notify_all();
      const auto found = hooks_.find(function);
      if (found == hooks_.end() || !found->second.first) return;
      hook = found->second.first;
      number = ++found->second.second;
    }
    hook(number);
  }

  int count(const std::string& function) {
    const std::lock_guard lock(mutex_);
    return counts_[function];
  }
  bool wait_for_count(const std::string& function, int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return counts_[function] >= count; });
  }

  // --- What the drivers' listeners wait for.

  void tell_listeners() {
    const std::lock_guard lock(mutex_);
    ++told_;
    changed_.notify_all();
  }
  bool listen_for(std::chrono::milliseconds time, std::uint64_t& heard) {
    std::unique_lock lock(mutex_);
    const bool told = changed_.wait_for(lock, time, [&] { return told_ != heard; });
    heard = told_;
    return told;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::pair<std::function<void(int)>, int>> hooks_;
  std::map<std::string, int> counts_;
  std::uint64_t told_ = 0;
};

class ControlledDriver final : public ForwardingDriver {
 public:
  ControlledDriver(std::shared_ptr<driver::Driver> inner, Control& control)
      : ForwardingDriver(std::move(inner)), control_(control) {}

  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    control_.call("read_log");
    ForwardingDriver::read_log(request, page);
  }
  Position settled_position() override {
    control_.call("settled_position");
    return ForwardingDriver::settled_position();
  }
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time) override {
    control_.call("acquire_lease");
    return ForwardingDriver::acquire_lease(key, holder, time);
  }
  bool renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) override {
    control_.call("renew_lease");
    const bool renewed = ForwardingDriver::renew_lease(lease, time);
    control_.call("renewed");
    return renewed;
  }
  void release_lease(const driver::Lease& lease) override {
    control_.call("release_lease");
    ForwardingDriver::release_lease(lease);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    control_.call("begin_read_model");
    return std::make_unique<Transaction>(ForwardingDriver::begin_read_model(idle_limit), control_);
  }
  std::unique_ptr<driver::AppendListener> listen() override {
    control_.call("listen");
    return std::make_unique<Listener>(control_);
  }

 private:
  class Transaction final : public ForwardingTransaction {
   public:
    Transaction(std::unique_ptr<driver::ReadModelTransaction> inner, Control& control)
        : ForwardingTransaction(std::move(inner)), control_(control) {}
    void commit() override {
      control_.call("commit");
      ForwardingTransaction::commit();
      control_.call("committed");
    }

   private:
    Control& control_;
  };

  class Listener final : public driver::AppendListener {
   public:
    explicit Listener(Control& control) : control_(control) {}
    ~Listener() override { control_.call("listener gone"); }
    bool wait(std::chrono::milliseconds timeout) noexcept override {
      control_.call("listening");
      return control_.listen_for(timeout, heard_);
    }

   private:
    Control& control_;
    std::uint64_t heard_ = 0;
  };

  Control& control_;
};

/// Whether it comes true.
template <class Condition>
bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace stele::testing
