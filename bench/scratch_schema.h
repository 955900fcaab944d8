// Schemas for the benchmarks on PostgreSQL, in the server that STELE_TEST_POSTGRES_URL names.
#pragma once

#include <string>

#include "stele/event_store.h"

namespace stele::bench {

/// Empty when no server was given.
std::string postgres_url();

/// The URL of a store in this schema. It has a connection for each of the benchmarks' threads.
std::string postgres_store_url(const std::string& schema);

void drop_schema(const std::string& schema);

/// A new, migrated schema; dropped by the destructor.
class ScratchSchema {
 public:
  ScratchSchema();
  ScratchSchema(const ScratchSchema&) = delete;
  ScratchSchema& operator=(const ScratchSchema&) = delete;
  ~ScratchSchema();

  const std::string& name() const noexcept { return name_; }
  EventStore open_store() const;

 private:
  const std::string name_;
};

}  // namespace stele::bench
