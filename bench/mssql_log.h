// The log on SQL Server that reads share.
#pragma once

#include <cstddef>

#include "floor_mssql.h"

namespace stele::bench {

// Smaller than the others' log: writing it takes its time on a Babelfish server.
inline constexpr std::size_t mssql_log_streams = 20;
inline constexpr std::size_t mssql_events_per_stream = 1'000;
inline constexpr std::size_t mssql_log_events = mssql_log_streams * mssql_events_per_stream;

/// Written when the first one asks for it, and dropped by finish_mssql_benchmarks().
const MssqlScratch& mssql_log();

}  // namespace stele::bench
