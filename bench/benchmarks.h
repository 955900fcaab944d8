// What main registers. Names are workload/side: floor (bare sqlite3, libpq or ODBC), store (Stele) or soci.
#pragma once

#include <cstddef>
#include <string>

namespace stele::bench {

/// How much work a run does.
struct Scale {
  bool quick = false;

  std::size_t pick(std::size_t quickly, std::size_t fully) const noexcept { return quick ? quickly : fully; }
};

void register_append_benchmarks(const Scale& scale);
void register_read_benchmarks(const Scale& scale);
void register_soci_benchmarks(const Scale& scale);

/// `largest`: events in the log at the last step, which goes up from 10,000 by factors of 10.
void register_growth_benchmarks(const Scale& scale, std::size_t largest);

/// On SQLite, and on the server of STELE_TEST_POSTGRES_URL if it names one.
void register_aggregate_benchmarks(const Scale& scale);
/// Drops what they shared.
void finish_aggregate_benchmarks();

/// On SQLite, and on the server of STELE_TEST_POSTGRES_URL if it names one.
void register_projection_benchmarks(const Scale& scale);
/// Drops what they shared.
void finish_projection_benchmarks();

/// On SQLite, and on the server of STELE_TEST_POSTGRES_URL if it names one.
void register_subscription_benchmarks(const Scale& scale);

/// On SQLite, and on the server of STELE_TEST_POSTGRES_URL if it names one.
void register_governance_benchmarks(const Scale& scale);

/// On the server of STELE_TEST_POSTGRES_URL; nothing when it names none.
void register_postgres_benchmarks(const Scale& scale);
/// Drops what they shared.
void finish_postgres_benchmarks();

/// On the server of STELE_BENCH_MSSQL_URL or STELE_TEST_MSSQL_URL; nothing when neither names one.
void register_mssql_benchmarks(const Scale& scale);
/// Drops what they shared.
void finish_mssql_benchmarks();

/// Makes a store with `events` events at this URL, ten a stream, and leaves it there.
void generate_store(const std::string& url, std::size_t events);
/// Appends so many events at this URL, one at a time with pauses; prints position and time of each, for the process
/// that subscribes.
void append_slowly(const std::string& url, std::size_t count);
/// Runs a projection over the store at this URL that counts its events.
void project_store(const std::string& url);

}  // namespace stele::bench
