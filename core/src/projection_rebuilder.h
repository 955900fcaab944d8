// Builds a further generation of a projection, and switches to it.
#pragma once

#include "projection_applier.h"

namespace stele::detail {

class Rebuilder final : public Applier {
 public:
  /// `from` is the active generation, `to` the new one.
  Rebuilder(const ProjectionWork& work, LeaseKeeper& keeper, std::int32_t from, std::int32_t to);

  /// Takes the new generation's leases. False when somebody else has one.
  bool take() { return acquire(to_).has_value(); }
  /// Makes the tables, and applies the log until it has switched, or lost its leases: has_switched() says which.
  /// Throws what ended it otherwise. In this thread.
  void run();
  bool has_switched() const noexcept { return switched_; }
  void give_back() noexcept { release(); }

  std::optional<Position> begin() override;
  std::chrono::milliseconds idle(Position position) override;
  void end(std::optional<Position>) noexcept override {}  // What is left is removed with the leases in hand.

 private:
  enum class Switch : std::uint8_t { done, not_yet, lost };

  bool is_active(std::int32_t generation);
  bool is_own(const driver::ProjectionState& state) const;
  bool make_tables();
  Switch switch_at(Position position);
  bool catch_up(driver::ReadModelTransaction& transaction, Position& position, Position goal);
  std::vector<driver::PartState> active_parts();
  bool answers_inside();

  const std::int32_t from_;
  const std::int32_t to_;
  LogPages pages_;
  Follower* follower_ = nullptr;
  std::optional<std::int64_t> fence_;  // Of its first part, since it last began.
  std::chrono::milliseconds hold_;     // The active generation, at most; longer with each try.
  bool switched_ = false;
};

}  // namespace stele::detail
