// A follower with its consumer, and the thread that runs it.
#pragma once

#include <mutex>
#include <thread>
#include <utility>

#include "follower.h"

namespace stele::detail {

template <class Consumer>
class FollowerThread {
 public:
  template <class... Args>
  FollowerThread(EventStore& store, FollowerOptions options, Args&&... of_consumer)
      : consumer_(std::forward<Args>(of_consumer)...), follower(store, std::move(options), consumer_) {
    thread_ = std::thread([this] { follower.run(); });
  }
  FollowerThread(const FollowerThread&) = delete;
  FollowerThread& operator=(const FollowerThread&) = delete;
  ~FollowerThread() { stop(); }

  void stop() {
    follower.stop();
    if (follower.is_own_thread()) return;
    const std::lock_guard lock(joining_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  Consumer consumer_;

 public:
  Follower follower;

 private:
  std::mutex joining_;
  std::thread thread_;
};

}  // namespace stele::detail
