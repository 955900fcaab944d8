// Sealing the log, and checking it against its seals and against checkpoints that are kept elsewhere; see chain.h for
// what the hashes cover, and docs/security.md for what shows and what does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stele/chain.h"
#include "stele/event_store.h"
#include "stele/export.h"

namespace stele {

struct SealResult {
  std::int64_t seals = 0;       ///< Made now.
  std::int64_t events = 0;      ///< In those.
  std::optional<LogSeal> last;  ///< The last one there is; empty while nothing was ever appended.
};

/// Seals what was appended since the last seal, up to where the log is settled (G7). Appends and readers go on
/// meanwhile, and any number of processes may do it at once. Memory does not grow with the log. Each seal is durable
/// when it is made: safe to repeat after any failure. Throws permission_denied for a store of one tenant or with less
/// than full clearance, and tampered when an event that has to be sealed follows one that has no hash.
STELE_API SealResult seal_log(EventStore& store, std::size_t events_in_a_seal = 10'000);

/// The last seal, to keep where nobody who can write to the database can write. `name` says which store it is. nullopt
/// when there is no seal yet.
STELE_API std::optional<Checkpoint> make_checkpoint(EventStore& store, std::string name);

struct ChainOptions {
  std::optional<Checkpoint> checkpoint{};
  std::size_t max_faults = 100;  ///< It stops looking when it has found so many; at least 1.
  std::function<void(std::int64_t done, std::int64_t total)> on_progress{};  ///< In positions.
};

struct ChainReport {
  std::int64_t seals = 0;
  std::int64_t events = 0;           ///< Checked.
  std::int64_t events_unsealed = 0;  ///< Behind the last seal: nothing is known of those.
  /// By position; what only a seal or a checkpoint shows comes last.
  std::vector<ChainFault> faults;
  bool ok() const noexcept { return faults.empty(); }
};

/// Checks every event that is sealed, every link and every seal. Reads only. Throws invalid_argument for max_faults,
/// and as seal_log().
STELE_API ChainReport verify_chain(EventStore& store, const ChainOptions& options = {});

}  // namespace stele
