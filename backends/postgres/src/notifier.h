// Tells listeners that something was appended.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "session.h"

namespace stele::postgres {

/// Sends NOTIFY after appends, from a thread and a transaction of its own: inside the append's transaction it would
/// take a lock of the whole server until the commit, and end group commit. Not more often than every few milliseconds,
/// however many appends there are. Best effort: listeners poll as well.
class Notifier {
 public:
  explicit Notifier(SessionPool& sessions) noexcept : sessions_(sessions) {}
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;
  /// Sends what is still to be sent.
  ~Notifier();

  /// Something was committed. Waits for nothing.
  void appended() noexcept;

 private:
  void run();
  void send() noexcept;

  SessionPool& sessions_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool pending_ = false;
  bool closing_ = false;
  std::thread thread_;  // Started by the first append.
};

/// The name of the store's channel; empty when it has no schema.
std::string channel_of(Session& session);

}  // namespace stele::postgres
