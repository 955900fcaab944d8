// Notices what other processes append to the file.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::sqlite {

/// One thread with a connection of its own, while anybody listens. SQLite tells nobody of changes; asking whether there
/// was one (PRAGMA data_version) reads a few bytes of shared memory.
class Watcher {
 public:
  explicit Watcher(const Settings& settings) : settings_(settings) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() = default;  // Nobody listens any more: see driver::AppendListener.

  std::unique_ptr<driver::AppendListener> listen();

 private:
  class Listener;

  void add_listener();
  void remove_listener();
  void run();
  /// Whether the log may have grown since the last call.
  bool look(Session& session);

  const Settings& settings_;
  std::mutex listeners_mutex_;  // Taken before the other one.
  int listeners_ = 0;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0;
  bool closing_ = false;

  // Of the thread alone.
  std::int64_t data_version_ = -1;
  std::int64_t last_position_ = -1;
};

}  // namespace stele::sqlite
