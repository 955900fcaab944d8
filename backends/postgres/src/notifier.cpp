#include "notifier.h"

#include <system_error>

namespace stele::postgres {
namespace {

using std::chrono::steady_clock;

// Readers are to see an append within 5 ms, and their own reading takes some of that.
constexpr std::chrono::milliseconds least_interval{2};
constexpr std::chrono::seconds patience{1};
// By number: names of schemas may be as long as those of channels.
constexpr std::string_view channel_expression = "'stele_append_' || to_regclass('events')::oid::text";

}  // namespace

std::string channel_of(Session& session) {
  const Result row = session.execute("SELECT " + std::string(channel_expression));
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
    // There is nothing to make durable, so nobody has to wait for the disk. One statement, because there may be many.
    static const std::string notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(" +
                                      std::string(channel_expression) + ", '') WHERE to_regclass('events') IS NOT NULL";
    session->execute(notify);
  } catch (...) {  // Listeners find out by polling.
  }
}

}  // namespace stele::postgres
