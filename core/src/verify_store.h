// The invariants that hold on every backend, checked through the store's own reads.
#pragma once

#include "stele/driver/driver.h"
#include "stele/event_store.h"

namespace stele::detail {

VerifyReport verify_store(EventStore& store, driver::Driver& driver, const VerifyOptions& options);

}  // namespace stele::detail
