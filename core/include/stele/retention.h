// What the rules of event types (EventTypeRules::keep_days) mean for the events that are there. A report only: nothing
// is ever removed from a store (G8); see docs/archives.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stele/event_store.h"
#include "stele/export.h"

namespace stele {

struct TypeRetention {
  std::string event_type;
  std::optional<std::int32_t> keep_days;  ///< The type's rule, if it has one.
  std::int64_t events = 0;
  std::optional<Timestamp> oldest;  ///< When the oldest was recorded.
  std::int64_t past = 0;            ///< Events that are past their time: recorded keep_days days ago, or earlier.
  std::int64_t must_be_kept = 0;    ///< Events that are not. Without a rule both are 0: nobody said how long.
};

struct RetentionReport {
  std::string tenant;
  Timestamp at;
  std::vector<TypeRetention> types;  ///< Those that have events or a rule of how long, by type as bytes.
  std::int64_t streams = 0;
  std::int64_t streams_past = 0;  ///< Streams that hold only events past their time.
};

/// Looks at every event of the tenant, stream by stream; memory does not grow with them. Days are of 24 hours.
/// `on_past` is called with each stream that holds only events past their time, in the order of types and ids. Throws
/// invalid_argument for a bad tenant, and what reads throw.
STELE_API RetentionReport retention_report(EventStore& store, const std::string& tenant, Timestamp now,
                                           const std::function<void(const StreamInfo&)>& on_past = {});

}  // namespace stele
