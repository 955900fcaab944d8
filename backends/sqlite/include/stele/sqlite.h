// The SQLite backend.
#pragma once

#include "stele/export.h"
#include "stele/registry.h"

namespace stele::sqlite {

/// Adds the scheme `sqlite`: sqlite:file.db, sqlite:///abs/file.db, sqlite::memory: — and these settings:
///
///   synchronous=full|extra|normal   full: durable when acknowledged (G12), the default. normal: the last commits may
///   be
///                                   lost when the machine (not the process) crashes; the store stays consistent.
///   busy_timeout=10s                how long an operation waits for other processes before it is `busy`
///   readers=4                       reading connections at most, 1 … 64
STELE_API void register_driver(Registry& registry);

}  // namespace stele::sqlite
