// PostgreSQL under the conformance suite.
#pragma once

#include "postgres_server.h"
#include "stele/testing/harness.h"

namespace stele::testing {

class PostgresHarness final : public Harness {
 public:
  std::unique_ptr<driver::Driver> open() override;
  std::set<Capability> capabilities() const override;
  std::string url() const override { return "postgresql schema " + schema_.name(); }
  std::string raw_sql(const std::string& statement) override;
  std::vector<RawScript> immutability_attacks() override;
  std::vector<RawScript> corruptions() override;
  std::vector<RawScript> forgeries() override;
  std::unique_ptr<driver::Driver> open_unmigrated() override;
  void hold_write_lock(const std::function<void()>& body) override;
  void skip_positions_to(Position position) override;
  Counters& counters() override;

 private:
  PostgresSchema schema_;
  PostgresSchema unmigrated_;
  std::unique_ptr<Counters> counters_;  // Before its schema is dropped.
};

}  // namespace stele::testing
