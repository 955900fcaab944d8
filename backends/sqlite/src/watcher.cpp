#include "watcher.h"

#include <chrono>

namespace stele::sqlite {
namespace {

constexpr std::chrono::milliseconds between_looks{20};
constexpr std::chrono::seconds after_trouble{1};

}  // namespace

class Watcher::Listener final : public driver::AppendListener {
 public:
  explicit Listener(Watcher& watcher) : watcher_(watcher) {
    watcher_.add_listener();
    const std::lock_guard lock(watcher_.mutex_);
    seen_ = watcher_.changes_;
  }
  ~Listener() override { watcher_.remove_listener(); }

  bool wait(std::chrono::milliseconds timeout) noexcept override {
    std::unique_lock lock(watcher_.mutex_);
    const bool told = watcher_.changed_.wait_for(lock, timeout, [this] { return watcher_.changes_ != seen_; });
    seen_ = watcher_.changes_;
    return told;
  }

 private:
  Watcher& watcher_;
  std::uint64_t seen_ = 0;
};

std::unique_ptr<driver::AppendListener> Watcher::listen() {
  return std::make_unique<Listener>(*this);
}

void Watcher::add_listener() {
  const std::lock_guard lock(listeners_mutex_);
  if (listeners_ == 0) thread_ = std::thread([this] { run(); });
  ++listeners_;
}

void Watcher::remove_listener() {
  const std::lock_guard lock(listeners_mutex_);
  if (--listeners_ > 0) return;
  {
    const std::lock_guard closing(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
  closing_ = false;
}

void Watcher::run() {
  std::unique_ptr<Session> session;
  std::unique_lock lock(mutex_);
  while (!closing_) {
    lock.unlock();
    bool grown = false;
    std::chrono::milliseconds pause = between_looks;
    try {
      if (session == nullptr) {
        session = std::make_unique<Session>(settings_, Role::reader);
        data_version_ = -1;  // It is a connection's own.
      }
      grown = look(*session);
    } catch (...) {  // Listeners poll as well; a new connection may do better.
      session.reset();
      pause = after_trouble;
    }
    lock.lock();
    if (grown) {
      ++changes_;
      changed_.notify_all();
    }
    // Listeners that are woken wake this thread, too, which then waits on.
    const auto until = std::chrono::steady_clock::now() + pause;
    changed_.wait_until(lock, until, [this] { return closing_; });
  }
}

bool Watcher::look(Session& session) {
  {
    const Use query = session.use("PRAGMA data_version");
    query->step();
    const std::int64_t version = query->int64(0);
    if (version == data_version_) return false;
    data_version_ = version;
  }
  // Not every change is an append: projections that move their checkpoints must not wake each other in turn.
  const Use query = session.use("SELECT seq FROM sqlite_sequence WHERE name = 'events'");
  const std::int64_t position = query->step() ? query->int64(0) : 0;
  if (position == last_position_) return false;
  last_position_ = position;
  return true;
}

}  // namespace stele::sqlite
