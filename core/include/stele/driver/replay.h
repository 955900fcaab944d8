// The rule of G6, once for all backends.
#pragma once

#include <span>
#include <vector>

#include "stele/driver/driver.h"

namespace stele::driver {

/// What was found in the store for one event of an append.
struct ExistingEvent {
  std::size_t stream_index;     ///< Of PreparedAppend::streams.
  std::size_t event_index;      ///< Of its events.
  const RecordedEvent* by_id;   ///< The event with this id, anywhere in the store; null if none or if the id is new.
  const RecordedEvent* by_key;  ///< The event with this idempotency key in the same stream; null if none.
};

/// Whether a stored event is what this one would be: same stream, id (if given), and every field the caller set, JSON
/// as JSON, and the same command.
STELE_API bool same_content(const PreparedAppend& append, const PreparedStream& stream, const PreparedEvent& event,
                            const RecordedEvent& stored);

/// Given what was found (an entry for each event that has a by_id or by_key, in request order, at least one): a replay
/// with its outcome when every event of the append was found, in its own stream, in consecutive versions in the
/// request's order, and with the same content; else duplicate_event_id or duplicate_idempotency_key naming the first
/// offender. `version_of` gives the current version of streams that the append has no events for.
STELE_API AppendResult decide_replay(const PreparedAppend& append, std::span<const ExistingEvent> found,
                                     const std::function<Version(const StreamKey&)>& version_of);

}  // namespace stele::driver
