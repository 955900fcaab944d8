#include "projection_group.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "projection_shares.h"

namespace stele::detail {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using State = Subscription::State;

constexpr milliseconds longest_look{1'000};
// For who waits until others have come to a position.
constexpr milliseconds between_questions{20};

constexpr milliseconds first_pause{50};
constexpr milliseconds longest_pause{2'000};

/// How often it looks for parts that are free, or that others should have: a take-over comes so much later.
milliseconds time_between_looks(milliseconds lease) {
  return std::min(lease / 10, longest_look);
}

std::shared_ptr<Projection> required(std::shared_ptr<Projection> projection) {
  if (projection == nullptr) throw Error(ErrorCode::invalid_argument, "projection: there is none");
  return projection;
}

bool has_ended(State state) {
  return state == State::stopped || state == State::failed;
}

}  // namespace

struct ProjectionGroup::PartRun {
  PartRun(const ProjectionWork& work, LeaseKeeper& keeper, std::int32_t number)
      : applier(work, keeper, {number}),
        follower(work.store, work.follower_options(wanted_in_part(number, work.options.parts)), applier) {}

  void retire() {
    applier.retire();
    follower.right_changed();
  }
  void begin_again() {
    applier.begin_again();
    follower.right_changed();
  }
  void stop() {
    follower.stop();
    if (thread.joinable()) thread.join();
  }

  Applier applier;
  Follower follower;
  std::thread thread;
};

ProjectionGroup::ProjectionGroup(EventStore& store, std::shared_ptr<Projection> projection, ProjectionOptions options)
    : projection_(required(std::move(projection))),
      work_(store, *projection_, std::move(options)),
      keeper_(store, work_.holder, work_.options.lease) {
  store.driver().open_projection(work_.key, work_.options.parts);
  thread_ = std::thread([this] { manage(); });
}

ProjectionGroup::~ProjectionGroup() {
  stop();
}

// --- The managing thread

void ProjectionGroup::manage() noexcept {
  {
    const std::lock_guard lock(mutex_);
    manager_ = std::this_thread::get_id();
  }
  try {
    while (true) {
      milliseconds time = time_between_looks(work_.options.lease);
      try {
        look();
        pause_ = {};
      } catch (const Error& error) {
        if (!may_pass(error)) throw;
        pause_ = std::clamp(pause_ * 2, first_pause, longest_pause);
        time = pause_;
        if (work_.options.trouble) work_.options.trouble(error);
      }
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, time, [this] { return woken_ || stopping_ || error_; });
      if (stopping_ || error_) break;
      woken_ = false;
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = current_error();
  }
  const Runs all = runs();
  for (const auto& [number, run] : all) run->follower.request_stop();  // Each may have to wait for the database.
  for (const auto& [number, run] : all) run->stop();
  if (announced_at_ != steady_clock::time_point()) {
    try {
      work_.store.driver().announce_member(work_.key, work_.holder, milliseconds(0));
    } catch (...) {  // It is forgotten after a lease's time.
    }
  }
  const std::lock_guard lock(mutex_);
  runs_.clear();
  ended_ = true;
  manager_.reset();
  changed_.notify_all();
}

void ProjectionGroup::look() {
  follow_pause();
  const Runs before = runs();
  for (const auto& [number, run] : before) {
    const std::optional<Error> error = run->follower.error();
    if (!error) continue;
    const std::lock_guard lock(mutex_);
    error_ = error;
    return;
  }
  std::map<std::int32_t, Position> seen_committed;
  for (const auto& [number, run] : before) {
    if (run->applier.is_at_work()) seen_committed[number] = run->applier.seen_committed();
  }
  const driver::ProjectionState state = work_.store.driver().open_projection(work_.key, work_.options.parts);
  std::map<std::string, std::int32_t> held;
  std::vector<std::int32_t> free;
  std::vector<std::int32_t> own;
  for (const driver::PartState& part : state.checkpoints) {
    if (part.key.generation != state.active_generation) continue;
    const std::int32_t number = part.key.part;
    const bool of_another = part.leased && part.holder != work_.holder;
    const auto run = before.find(number);
    // One that has nothing to do would not notice by itself.
    if (part.position < seen_committed[number]) run->second->begin_again();
    if (run != before.end()) {
      if (!run->second->applier.is_at_work() && (of_another || run->second->applier.is_retired())) {
        end_part(number);
      } else if (!run->second->applier.is_retired()) {
        own.push_back(number);
      }
    } else if (!of_another) {
      free.push_back(number);
    }
    if (of_another) ++held[part.holder];
  }
  const auto count = static_cast<std::int32_t>(own.size());
  if (count > 0) held[work_.holder] = count;
  std::int32_t missing = fair_share(held, work_.holder, work_.options.parts, count_members()) - count;
  for (; missing < 0 && !own.empty(); ++missing, own.pop_back()) retire_part(own.back());
  // Not all begin with the same one.
  if (!free.empty())
    std::rotate(free.begin(), free.begin() + static_cast<std::ptrdiff_t>(start_ % free.size()), free.end());
  for (; missing > 0 && !free.empty(); --missing, free.pop_back()) begin_part(free.back());
  // Nobody takes what is left: a member died, perhaps, and is not to be counted for longer than it must.
  if (!free.empty()) announced_at_ = {};
}

std::int32_t ProjectionGroup::count_members() {
  if (work_.options.parts == 1) return 1;
  const steady_clock::time_point now = steady_clock::now();
  if (announced_at_ == steady_clock::time_point() || now - announced_at_ >= work_.options.lease / 3) {
    members_ = work_.store.driver().announce_member(work_.key, work_.holder, work_.options.lease);
    announced_at_ = now;
  }
  return std::max(1, members_);
}

void ProjectionGroup::begin_part(std::int32_t number) {
  const auto run = std::make_shared<PartRun>(work_, keeper_, number);
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (pausing_) run->follower.pause();
  run->thread = std::thread([this, run = run.get()] {
    run->follower.run();
    const std::lock_guard ended(mutex_);
    woken_ = true;
    changed_.notify_all();
  });
  runs_.emplace(number, run);
}

void ProjectionGroup::retire_part(std::int32_t number) {
  const std::shared_ptr<PartRun> run = runs().at(number);
  run->retire();
  // A part that is paused lets go of nothing; but no transaction is under way then, so that this does not wait.
  if (run->follower.state() == State::paused) end_part(number);
}

void ProjectionGroup::end_part(std::int32_t number) {
  runs().at(number)->stop();
  const std::lock_guard lock(mutex_);
  runs_.erase(number);
}

void ProjectionGroup::follow_pause() {
  const std::lock_guard following(following_pause_);
  bool pausing = false;
  {
    const std::lock_guard lock(mutex_);
    pausing = pausing_;
  }
  for (const auto& [number, run] : runs()) {
    if (pausing) {
      run->follower.pause();
    } else if (run->follower.state() == State::paused) {
      run->follower.resume();
    }
  }
}

// --- From any thread

ProjectionGroup::Runs ProjectionGroup::runs() const {
  const std::lock_guard lock(mutex_);
  return runs_;
}

bool ProjectionGroup::is_own_thread() const {
  {
    const std::lock_guard lock(mutex_);
    if (manager_ == std::this_thread::get_id()) return true;
  }
  const Runs all = runs();
  return std::any_of(all.begin(), all.end(), [](const auto& run) { return run.second->follower.is_own_thread(); });
}

void ProjectionGroup::set_pausing(bool pausing) {
  {
    const std::lock_guard lock(mutex_);
    pausing_ = pausing;
    woken_ = true;
    changed_.notify_all();
  }
  if (!is_own_thread()) follow_pause();  // Otherwise it would wait for itself: the manager does it.
}

void ProjectionGroup::pause() {
  set_pausing(true);
}

void ProjectionGroup::resume() {
  set_pausing(false);
}

void ProjectionGroup::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (is_own_thread()) return;
  const std::lock_guard lock(joining_);
  if (thread_.joinable()) thread_.join();
}

State ProjectionGroup::state() const {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return error_ ? State::failed : State::stopped;
    if (pausing_) return State::paused;
  }
  State state = State::waiting_for_lease;
  for (const auto& [number, run] : runs()) {
    if (!run->applier.is_at_work()) continue;
    if (run->follower.state() != State::live) return State::catching_up;
    state = State::live;
  }
  return state;
}

std::vector<std::int32_t> ProjectionGroup::parts() const {
  std::vector<std::int32_t> numbers;
  for (const auto& [number, run] : runs()) {
    if (run->applier.is_at_work()) numbers.push_back(number);
  }
  return numbers;
}

std::optional<Error> ProjectionGroup::error() const {
  const std::lock_guard lock(mutex_);
  return ended_ ? error_ : std::nullopt;
}

// The database is asked only for what others run.
bool ProjectionGroup::have_come_to(Position position, const Runs& runs) const {
  std::vector<std::int32_t> unknown;
  for (std::int32_t number = 0; number < work_.options.parts; ++number) {
    const auto run = runs.find(number);
    if (run != runs.end() && run->second->follower.position() >= position) continue;
    if (run != runs.end() && run->second->applier.is_at_work()) return false;
    unknown.push_back(number);
  }
  if (unknown.empty()) return true;
  try {
    const std::optional<driver::ProjectionState> state = work_.store.driver().find_projection(work_.key);
    if (!state) return position == Position(0);
    return std::all_of(state->checkpoints.begin(), state->checkpoints.end(), [&](const driver::PartState& part) {
      return part.key.generation != state->active_generation || part.position >= position ||
             std::find(unknown.begin(), unknown.end(), part.key.part) == unknown.end();
    });
  } catch (const Error& error) {
    if (!may_pass(error)) throw;
    return false;
  }
}

bool ProjectionGroup::wait_for(Position position, milliseconds timeout) const {
  const bool own = is_own_thread();
  const steady_clock::time_point begin = steady_clock::now();
  while (true) {
    const Runs all = runs();
    if (have_come_to(position, all)) return true;
    const milliseconds left = timeout - duration_cast<milliseconds>(steady_clock::now() - begin);
    if (own || left <= milliseconds(0)) return false;
    const milliseconds time = std::min(left, between_questions);
    const auto behind = std::find_if(all.begin(), all.end(), [&](const auto& run) {
      return run.second->follower.position() < position && !has_ended(run.second->follower.state());
    });
    if (behind != all.end()) behind->second->follower.wait_for(position, time);
    std::unique_lock lock(mutex_);
    if (ended_) return false;
    if (behind == all.end()) changed_.wait_for(lock, time);
  }
}

void ProjectionGroup::join() const {
  if (is_own_thread()) throw Error(ErrorCode::invalid_argument, "join: it would wait for itself");
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_; });
  if (error_) throw Error(*error_);
}

}  // namespace stele::detail

namespace stele {

class ProjectionRunner::Impl : public detail::ProjectionGroup {
  using ProjectionGroup::ProjectionGroup;
};

ProjectionRunner::ProjectionRunner(EventStore& store, std::shared_ptr<Projection> projection, ProjectionOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(projection), std::move(options))) {}

ProjectionRunner::ProjectionRunner(ProjectionRunner&&) noexcept = default;
ProjectionRunner& ProjectionRunner::operator=(ProjectionRunner&&) noexcept = default;
ProjectionRunner::~ProjectionRunner() = default;

void ProjectionRunner::pause() {
  impl_->pause();
}
void ProjectionRunner::resume() {
  impl_->resume();
}
void ProjectionRunner::stop() {
  impl_->stop();
}
Subscription::State ProjectionRunner::state() const {
  return impl_->state();
}
std::vector<std::int32_t> ProjectionRunner::parts() const {
  return impl_->parts();
}
std::optional<Error> ProjectionRunner::error() const {
  return impl_->error();
}
bool ProjectionRunner::wait_for(Position position, std::chrono::milliseconds timeout) const {
  return impl_->wait_for(position, timeout);
}
void ProjectionRunner::join() {
  impl_->join();
}

}  // namespace stele
