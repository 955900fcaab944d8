// SQL Server under the conformance suite.
#pragma once

#include "mssql_server.h"
#include "stele/testing/harness.h"

namespace stele::testing {

class MssqlHarness final : public Harness {
 public:
  std::unique_ptr<driver::Driver> open() override;
  std::set<Capability> capabilities() const override;
  std::string url() const override { return "mssql schema " + schema_.name(); }
  std::string raw_sql(const std::string& statement) override;
  std::vector<RawScript> immutability_attacks() override;
  std::vector<RawScript> corruptions() override;
  std::vector<RawScript> forgeries() override;
  std::unique_ptr<driver::Driver> open_unmigrated() override;
  std::string table_of_migration(const std::string& table) const override;
  void hold_write_lock(const std::function<void()>& body) override;
  void skip_positions_to(Position position) override;
  Counters& counters() override;

 private:
  MssqlSchema schema_;
  MssqlSchema unmigrated_;
  std::unique_ptr<MssqlConnection> alone_;
  std::unique_ptr<Counters> counters_;  // Before its schema is dropped.
};

}  // namespace stele::testing
