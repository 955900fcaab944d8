#include "append_signal.h"

#include <chrono>
#include <utility>

namespace stele::detail {
namespace {

// A listener cannot be interrupted: this is how long closing a store may take.
constexpr std::chrono::milliseconds listening_time{50};
// What comes faster than this is told of together.
constexpr std::chrono::milliseconds between_wakes{1};

}  // namespace

AppendSignal::Waiter::Waiter(AppendSignal& signal, std::function<void()> wake) : signal_(signal) {
  {
    const std::lock_guard lock(signal_.mutex_);
    number_ = signal_.next_number_++;
    signal_.waiters_.emplace(number_, std::move(wake));
    if (!signal_.thread_.joinable() && !signal_.closed_) {
      signal_.thread_ = std::thread([&to = signal_] { to.run(); });
    }
  }
  signal_.changed_.notify_all();
}

AppendSignal::Waiter::~Waiter() {
  const std::lock_guard lock(signal_.mutex_);
  signal_.waiters_.erase(number_);
}

void AppendSignal::notify() noexcept {
  const std::lock_guard lock(mutex_);
  wake_all();
}

void AppendSignal::wake_all() noexcept {
  for (const auto& [number, wake] : waiters_) wake();
}

void AppendSignal::run() noexcept {
  std::unique_ptr<driver::AppendListener> listener;
  std::unique_lock lock(mutex_);
  while (!closed_) {
    if (waiters_.empty()) {
      listener.reset();  // It may hold a connection.
      changed_.wait(lock, [this] { return closed_ || !waiters_.empty(); });
      continue;
    }
    lock.unlock();
    bool told = false;
    try {
      if (listener == nullptr) {
        listener = driver_.listen();
        told = true;  // Of what was appended since somebody has looked, and before it listens.
      } else {
        told = listener->wait(listening_time);
      }
    } catch (...) {  // Followers poll as well.
    }
    lock.lock();
    if (told) wake_all();
    if (told || listener == nullptr) {
      changed_.wait_for(lock, told ? between_wakes : listening_time, [this] { return closed_; });
    }
  }
}

void AppendSignal::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    wake_all();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace stele::detail
