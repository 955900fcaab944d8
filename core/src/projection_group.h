// One member of a projection's group: which parts it runs, and the threads that do it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "projection_applier.h"

namespace stele::detail {

/// A thread for each part that it runs, one that decides which these are, and the keeper's. See ProjectionRunner for
/// what the functions promise.
class ProjectionGroup {
 public:
  ProjectionGroup(EventStore& store, std::shared_ptr<Projection> projection, ProjectionOptions options);
  ProjectionGroup(const ProjectionGroup&) = delete;
  ProjectionGroup& operator=(const ProjectionGroup&) = delete;
  ~ProjectionGroup();

  void pause();
  void resume();
  void stop();
  Subscription::State state() const;
  std::vector<std::int32_t> parts() const;
  std::optional<Error> error() const;
  bool wait_for(Position position, std::chrono::milliseconds timeout) const;
  void join() const;

 private:
  struct PartRun;
  using Runs = std::map<std::int32_t, std::shared_ptr<PartRun>>;

  void manage() noexcept;
  void look();
  std::int32_t count_members();
  void begin_part(std::int32_t number);
  void retire_part(std::int32_t number);
  void end_part(std::int32_t number);
  void set_pausing(bool pausing);
  void follow_pause();
  Runs runs() const;
  bool is_own_thread() const;
  bool have_come_to(Position position, const Runs& runs) const;

  const std::shared_ptr<Projection> projection_;
  const ProjectionWork work_;
  LeaseKeeper keeper_;

  // Of the managing thread.
  const std::size_t start_ = std::hash<std::string>()(work_.holder);  // With which of the free parts it begins.
  std::int32_t members_ = 1;
  std::chrono::steady_clock::time_point announced_at_{};
  bool ask_again_ = false;             // How many members there are.
  std::chrono::milliseconds pause_{};  // Before the next try to reach the database.

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Runs runs_;
  std::optional<Error> error_;
  bool pausing_ = false;
  bool stopping_ = false;
  bool woken_ = false;
  bool ended_ = false;
  std::optional<std::thread::id> manager_;
  std::mutex following_pause_;
  std::mutex joining_;
  std::thread thread_;
};

}  // namespace stele::detail
