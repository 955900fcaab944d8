#include "notifier.h"

#include <system_error>

namespace stele::postgres {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds least_interval{10};
constexpr std::chrono::seconds patience{1};

}  // namespace

std::string channel_of(Session& session) {
  // By number: names of schemas may be as long as those of channels.
  const Result row = session.execute("SELECT 'stele_append_' || to_regclass('events')::oid::text");
  return row.is_null(0, 0) ? std::string() : std::string(row.text(0, 0));
}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Notifier::appended() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (pending_) return;
    try {
      if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {  // No thread to be had: listeners find out by polling.
      return;
    }
    pending_ = true;
  }
  changed_.notify_all();
}

void Notifier::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return pending_ || closing_; });
    if (!pending_) return;
    pending_ = false;
    lock.unlock();
    send();
    lock.lock();
    changed_.wait_for(lock, least_interval, [this] { return closing_; });
  }
}

void Notifier::send() noexcept {
  try {
    const SessionPool::Lease session = sessions_.lease(steady_clock::now() + patience);
    const std::string channel = channel_of(*session);
    if (channel.empty()) return;
    // There is nothing to make durable, so nobody has to wait for the disk.
    session->run("BEGIN; SET LOCAL synchronous_commit = off; NOTIFY " + channel + "; COMMIT", "notify");
  } catch (...) {  // Listeners find out by polling.
  }
}

}  // namespace stele::postgres
