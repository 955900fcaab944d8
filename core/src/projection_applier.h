// Applies the log to a read model, under leases.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "projection_work.h"

namespace stele::detail {

/// Which events a part is about; empty when there is but one part.
std::function<bool(const RecordedEvent&)> wanted_in_part(std::int32_t number, std::int32_t parts);

/// Some parts of a projection's active generation, as one: they move together. Runs until it is stopped, or retired.
class Applier : public LogConsumer {
 public:
  /// The work and the keeper must outlive it.
  Applier(const ProjectionWork& work, LeaseKeeper& keeper, std::vector<std::int32_t> parts);

  /// Lets go of the leases when the transaction that is under way is over, and takes none any more. Wake the follower
  /// then. From any thread.
  void retire() noexcept { retired_ = true; }
  bool is_retired() const noexcept { return retired_; }
  /// Whether it has its leases, as far as it knows. From any thread.
  bool is_at_work() const noexcept { return at_work_; }
  /// Where it has seen its checkpoint committed. From any thread.
  Position seen_committed() const noexcept { return Position(seen_committed_); }
  /// The checkpoint is not where it was: a crash of the server took it back. Asks the database again when the
  /// transaction that is under way is over. Wake the follower then. From any thread.
  void begin_again() noexcept { beginning_again_ = true; }

  std::optional<Position> begin() override;
  std::chrono::milliseconds again_in() const override;
  bool holds() override;
  bool consume(Follower& follower, const LogPage& page) override;
  void dead_letter(const LogPage::Failure& failure, std::int32_t attempts) override;
  std::chrono::milliseconds idle(Position position) override;
  void end(std::optional<Position> position) noexcept override;

 protected:
  /// Takes the leases of these parts' checkpoints, all or none. Returns where they are: at the lowest position.
  std::optional<Position> acquire(std::int32_t generation);
  /// They were lost, or it is not known where the checkpoints are: begin() is next, which asks the database. No
  /// transaction may be under way, for a renewal would wait for it.
  void forget() noexcept;
  /// Gives them back.
  void release() noexcept;

  const ProjectionWork& work() const noexcept { return work_; }
  std::int32_t generation() const noexcept { return generation_; }
  const std::vector<driver::Lease>& leases() const noexcept { return leases_; }

 private:
  struct Attempt {
    std::size_t done = 0;        // Events that were applied, from the first one on.
    bool lost = false;           // The right was lost; nothing was done.
    std::optional<Error> error;  // Nothing was done because of …
    std::size_t failed = 0;      // … this event, or one before it.
  };

  Attempt attempt(std::span<const RecordedEvent> events, Position behind_last);
  bool still_has_leases();
  bool move(Position to, const std::function<void(driver::ReadModelTransaction&)>& write);
  void moved_to(Position position);
  bool put_aside(driver::DeadLetter letter);
  bool save(Position position);
  bool make_tables();
  driver::PartKey checkpoint_of(const StreamKey& stream) const;

  const ProjectionWork& work_;
  LeaseKeeper& keeper_;
  const std::vector<std::int32_t> parts_;
  std::int32_t generation_ = 0;
  std::vector<driver::Lease> leases_;
  Position saved_;
  std::chrono::steady_clock::time_point saved_at_{};
  std::atomic<std::int64_t> seen_committed_ = 0;
  std::atomic<bool> retired_ = false;
  std::atomic<bool> at_work_ = false;
  std::atomic<bool> beginning_again_ = false;
};

}  // namespace stele::detail
