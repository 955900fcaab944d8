// All backends of this build.
#pragma once

#include <string_view>

#include "stele/event_store.h"
#include "stele/registry.h"

namespace stele {

/// A registry with every backend that was built, and the reference driver. Made at the first call; thread-safe.
STELE_API const Registry& default_registry();

/// EventStore::open with default_registry().
STELE_API EventStore open(std::string_view url, const OpenOptions& options = {});

}  // namespace stele
