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

/// Calls `write` with a new transaction, and commits it if that returns true. When `write` throws because the
/// connection broke, the database's error is thrown, not the handler's that met it.
bool in_read_model(const ProjectionWork& work, const std::function<bool(driver::ReadModelTransaction&)>& write);

/// Moves all of them to one position. False: a lease was lost, and the transaction must not commit.
bool move_all(driver::ReadModelTransaction& transaction, const std::vector<driver::Lease>& leases, Position to);

/// The error of the database behind what a handler threw: the connection broke. Nothing if the handler is to blame.
std::optional<Error> broken(driver::ReadModelTransaction& transaction, const driver::ProjectionKey& key) noexcept;

}  // namespace stele::detail
