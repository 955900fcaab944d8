// Copying one store into another, of whatever backends; see docs/archives.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stele/event_store.h"
#include "stele/export.h"

namespace stele {

struct CopyOptions {
  /// Events done; how far that is in positions, and of how many.
  std::function<void(std::int64_t events, std::int64_t done, std::int64_t total)> on_progress{};
};

struct CopyResult {
  std::int64_t events = 0;          ///< Written now.
  std::int64_t events_there = 0;    ///< There already.
  std::int64_t commands = 0;        ///< Written now, those without events as well.
  std::int64_t commands_there = 0;  ///< There already.
  std::int64_t schemas = 0;         ///< Added now, as what follows.
  std::int64_t rules = 0;           ///< Types whose rules were set.
  std::int64_t keys = 0;
  std::int64_t keys_destroyed = 0;  ///< That are destroyed in the source, and now in the target.
  std::vector<std::string> notes;   ///< What could not be copied, in words.
};

/// Copies the log up to where it ends now, in its order, as it is stored: every stream with its versions, every event
/// with all of its fields but position and recorded_at, which are the target's (G7, G10); events of one command in one
/// append with it, as far as the source knows commands. Then schemas and rules of event types, and subjects' keys, of
/// all tenants that have events. Memory does not grow with the log.
///
/// Safe to repeat: what is there is recognised by its ids, and a copy that was interrupted, or whose source grew, goes
/// on from there. While it goes on, nobody else should write to the target. A key that was destroyed in the source is
/// destroyed in the target. A command's fingerprint is that of the copy: who repeats a request that the source
/// recorded gets request_id_reused from the target, and nothing is written twice.
///
/// Throws permission_denied unless both stores have full clearance, and invalid_argument when one has keys, for all is
/// copied as it is stored; conflict, request_id_reused, duplicate_event_id or duplicate_idempotency_key when the target
/// has other events in the same place; schema_violation when its schemas refuse an event; and what reads and appends
/// throw. What was copied until then stays.
STELE_API CopyResult copy_store(EventStore& from, EventStore& to, const CopyOptions& options = {});

}  // namespace stele
