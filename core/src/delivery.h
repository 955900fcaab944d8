// What subscriptions and relays have in common: where they begin, and how far they have come.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "follower.h"
#include "lease_keeper.h"

namespace stele::detail {

/// Hands the log to code outside of the store's database. With a name, under a lease, and with a checkpoint that
/// follows what was handled.
class Delivery : public LogConsumer {
 public:
  struct Options {
    driver::ProjectionKind kind;  ///< What its name is used for.
    Start start;
    LogFilter filter;
    std::optional<std::string> name;
    std::chrono::milliseconds lease;
    std::size_t checkpoint_every;
  };

  /// Looks at the log for Start::now(), makes the checkpoint there if it is missing, and looks for the lease: all
  /// before it returns, so that nothing that is appended afterwards is missed, whoever runs it first. Throws
  /// invalid_argument, and what the driver throws.
  Delivery(EventStore& store, Options options);
  ~Delivery() override;

  std::optional<Position> begin() override;
  std::chrono::milliseconds again_in() const override;
  bool holds() override;
  void dead_letter(const LogPage::Failure& failure, std::int32_t attempts) override;
  std::chrono::milliseconds idle(Position position) override;
  void end(std::optional<Position> position) noexcept override;

 protected:
  /// The stored event at this position, the last of `count` that were handled since the last call, is done for good.
  /// Saves the checkpoint when it is time. False: the right was lost.
  bool done(Follower& follower, Position position, std::size_t count);
  /// All up to here was handled or is not wanted. Saves that when it is time. False: the right was lost.
  bool scanned(Position position);
  void add_dead_letter(Position position, const Uuid& event_id, std::int32_t attempts, const Error& error);

 private:
  struct Named {
    Named(EventStore& store, driver::PartKey key_, std::chrono::milliseconds time)
        : key(std::move(key_)), keeper(store, new_holder(), time) {}
    driver::PartKey key;
    LeaseKeeper keeper;
    std::optional<driver::Lease> lease;
    std::vector<driver::DeadLetter> letters;  // Saved with the next checkpoint.
  };

  void acquire();
  bool save(Position position);  // False: the lease was lost.
  bool find_checkpoint();

  EventStore& store_;
  const driver::ProjectionKind kind_;
  const std::chrono::milliseconds lease_time_;
  const std::size_t checkpoint_every_;
  Position start_;
  std::optional<Named> named_;
  Position saved_;
  std::chrono::steady_clock::time_point saved_at_{};
  std::size_t unsaved_ = 0;
};

/// Throws invalid_argument unless it may be a projection's, a subscription's or a relay's name.
void check_projection_name(const std::string& name);
/// Throws invalid_argument.
void check_error_policy(const ErrorPolicy& policy);
/// Throws invalid_argument unless it is longer than nothing.
void check_time(const char* field, std::chrono::milliseconds time);

}  // namespace stele::detail
