// Projections that are applied inside of each append's transaction.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/event_store.h"
#include "stele/projection.h"

namespace stele::detail {

/// Set up before other threads use the store; then used by any of them.
class InlineProjections {
 public:
  /// Makes its tables if it is new. Throws unsupported where the backend cannot, and invalid_argument for a second one
  /// of the same name, for a name that is used for something else, and for one that was filled in part.
  void add(EventStore& store, std::shared_ptr<Projection> projection);
  bool empty() const noexcept { return all_.empty(); }

  /// As Driver::append(), one after the other. What a projection throws is thrown; the appends before it were applied.
  std::vector<driver::AppendAnswer> append(driver::Driver& driver, const std::shared_ptr<const Upcasters>& upcasters,
                                           std::span<const driver::PreparedAppend> appends) const;

 private:
  struct One {
    std::shared_ptr<Projection> projection;
    driver::ProjectionKey key;
    LogFilter filter;
    std::int32_t generation = 1;
  };

  void apply(driver::ReadModelTransaction& transaction, const std::shared_ptr<const Upcasters>& upcasters,
             std::span<const RecordedEvent> events) const;

  std::vector<One> all_;
};

}  // namespace stele::detail
