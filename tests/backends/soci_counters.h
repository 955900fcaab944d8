// The conformance suite's read model in a table, written through SOCI as an application's handlers do.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stele/testing/harness.h"

namespace stele::testing {

class SociCounters final : public Counters {
 public:
  using Rows = std::function<std::vector<std::string>(const std::string& sql)>;

  /// How the database says it.
  struct Sql {
    std::string create;
    std::string add;     ///< :name, :number
    std::string forget;  ///< :length, :prefix
    std::string all;
  };
  static Sql common();                                 ///< SQLite and PostgreSQL.
  static Sql transact_sql(const std::string& schema);  ///< SQL Server; the table lies in this schema.

  /// Makes the table. `rows` gives what is committed, columns joined by |; without it a transaction of the driver does,
  /// which on a database with one writer waits for all others.
  explicit SociCounters(std::unique_ptr<driver::Driver> driver, Rows rows = {}, Sql statements = common());

  void add(driver::ReadModelTransaction& transaction, const std::string& key, std::int64_t number) override;
  void forget(driver::ReadModelTransaction& transaction, const std::string& prefix) override;
  std::map<std::string, std::int64_t> read() override;

 private:
  const std::unique_ptr<driver::Driver> driver_;
  const Rows rows_;
  const Sql sql_;
};

}  // namespace stele::testing
