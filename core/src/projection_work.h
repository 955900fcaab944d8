// A projection with its options, checked: what everybody who works at it needs.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "follower.h"
#include "lease_keeper.h"
#include "stele/projection.h"

namespace stele::detail {

struct ProjectionWork {
  /// Throws invalid_argument.
  ProjectionWork(EventStore& store, Projection& projection, ProjectionOptions options);

  /// What the follower of some parts needs. `wanted`: see LogPages.
  FollowerOptions follower_options(std::function<bool(const RecordedEvent&)> wanted) const;
  ProjectionContext context(driver::ReadModelTransaction& transaction, std::int32_t generation) const {
    return {transaction, generation, key.tenant};
  }
  std::unique_ptr<driver::ReadModelTransaction> begin() const {
    return store.driver().begin_read_model(idle_limit(options.lease));
  }
  driver::PartKey part(std::int32_t generation, std::int32_t number) const { return {key, generation, number}; }

  EventStore& store;
  Projection& projection;
  ProjectionOptions options;
  driver::ProjectionKey key;
  LogFilter filter;
  std::string holder;  // Nobody else's.
};

/// Somebody else has the lease.
[[noreturn]] void throw_busy(const driver::ProjectionKey& key, const char* what);

/// Calls `write` with a new transaction, and commits it if that returns true. When an error of the database that may
/// pass is behind what `write` throws, that is thrown, not the handler's that met it.
bool in_read_model(const ProjectionWork& work, const std::function<bool(driver::ReadModelTransaction&)>& write);

/// Moves all of them to one position. False: a lease was lost, and the transaction must not commit.
bool move_all(driver::ReadModelTransaction& transaction, const std::vector<driver::Lease>& leases, Position to);

/// The error of the database behind what a handler threw, for who has just caught it: the connection broke, or another
/// transaction was in the way (a deadlock, a lock that was not to be had). That may pass, and no event is to blame.
/// Nothing if the handler is.
std::optional<Error> behind_error(driver::ReadModelTransaction& transaction, const driver::ProjectionKey& key) noexcept;

}  // namespace stele::detail
