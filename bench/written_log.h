// A log of 100,000 events that the benchmarks of reading share.
#pragma once

#include <cstddef>

#include "scratch_database.h"

namespace stele::bench {

/// Streams that were written a few events at a time in turn, so that each lies scattered over the file.
class WrittenLog {
 public:
  static constexpr std::size_t events_per_stream = 1'000;
  static constexpr std::size_t streams = 100;
  static constexpr std::size_t events = streams * events_per_stream;

  WrittenLog();
  const ScratchDatabase& database() const noexcept { return database_; }

 private:
  ScratchDatabase database_;
};

/// Fills a store with it.
void write_log(EventStore& store);

/// Made at the first use, removed at the end of the program.
const WrittenLog& written_log();

}  // namespace stele::bench
