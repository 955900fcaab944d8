// SQLite under the conformance suite: in a file, where everything can be tried, and in memory.
#pragma once

#include "sqlite_file.h"
#include "stele/testing/harness.h"

namespace stele::testing {

class SqliteFileHarness final : public Harness {
 public:
  std::unique_ptr<driver::Driver> open() override;
  std::set<Capability> capabilities() const override;
  std::string url() const override;
  std::string raw_sql(const std::string& statement) override;
  std::vector<RawScript> immutability_attacks() override;
  std::vector<RawScript> corruptions() override;
  std::vector<RawScript> forgeries() override;
  std::unique_ptr<driver::Driver> open_unmigrated() override;
  void hold_write_lock(const std::function<void()>& body) override;
  void skip_positions_to(Position position) override;
  Counters& counters() override;

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<Counters> counters_;
};

/// The database is gone with its last driver, so the harness keeps one and gives handles to it.
class SqliteMemoryHarness final : public Harness {
 public:
  std::unique_ptr<driver::Driver> open() override;
  std::set<Capability> capabilities() const override {
    return {Capability::migrations, Capability::read_models, Capability::governance};
  }
  std::string url() const override { return "sqlite::memory:"; }
  std::unique_ptr<driver::Driver> open_unmigrated() override;
  Counters& counters() override;

 private:
  std::shared_ptr<driver::Driver> driver_;
  std::shared_ptr<driver::Driver> unmigrated_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace stele::testing
