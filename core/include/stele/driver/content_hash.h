// The content hash of an event that is about to be appended. For authors of backends.
#pragma once

#include "stele/chain.h"
#include "stele/driver/driver.h"

namespace stele::driver {

/// What stele::content_hash() gives for the event once it is recorded.
STELE_API ChainHash content_hash(const PreparedAppend& append, const PreparedStream& stream,
                                 const PreparedEvent& event);

}  // namespace stele::driver
