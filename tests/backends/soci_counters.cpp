#include "soci_counters.h"

#include "stele/soci.h"

namespace stele::testing {

SociCounters::Sql SociCounters::common() {
  return {"CREATE TABLE IF NOT EXISTS conformance_counters (name text PRIMARY KEY, number bigint NOT NULL)",
          "INSERT INTO conformance_counters (name, number) VALUES (:name, :number) ON CONFLICT (name) "
          "DO UPDATE SET number = conformance_counters.number + excluded.number",
          "DELETE FROM conformance_counters WHERE substr(name, 1, :length) = :prefix",
          "SELECT name, number FROM conformance_counters"};
}

SociCounters::Sql SociCounters::transact_sql(const std::string& schema) {
  const std::string table = schema + ".conformance_counters";
  return {"IF OBJECT_ID(N'" + table + "') IS NULL CREATE TABLE " + table +
              " (name NVARCHAR(200) COLLATE Latin1_General_100_BIN2 PRIMARY KEY, number BIGINT NOT NULL)",
          // There is no ON CONFLICT: two who add the same new name wait for each other at its lock.
          "DECLARE @name NVARCHAR(200), @number BIGINT, @lock NVARCHAR(255); SET @name = :name; SET @number = :number; "
          "SET @lock = N'" +
              schema + ":counter:' + @name; EXEC " + schema + ".take_lock @lock, N'Exclusive'; UPDATE " + table +
              " SET number = number + @number WHERE name = @name; IF @@ROWCOUNT = 0 INSERT INTO " + table +
              " (name, number) VALUES (@name, @number)",
          "DELETE FROM " + table + " WHERE LEFT(name, :length) = :prefix", "SELECT name, number FROM " + table};
}

SociCounters::SociCounters(std::unique_ptr<driver::Driver> driver, Rows rows, Sql statements)
    : driver_(std::move(driver)), rows_(std::move(rows)), sql_(std::move(statements)) {
  const auto transaction = driver_->begin_read_model();
  sql(*transaction) << sql_.create;
  transaction->commit();
}

void SociCounters::add(driver::ReadModelTransaction& transaction, const std::string& key, std::int64_t number) {
  const auto value = static_cast<long long>(number);
  sql(transaction) << sql_.add, soci::use(key, "name"), soci::use(value, "number");
}

void SociCounters::forget(driver::ReadModelTransaction& transaction, const std::string& prefix) {
  const auto length = static_cast<int>(prefix.size());
  sql(transaction) << sql_.forget, soci::use(length, "length"), soci::use(prefix, "prefix");
}

std::map<std::string, std::int64_t> SociCounters::read() {
  std::map<std::string, std::int64_t> numbers;
  if (rows_) {
    for (const std::string& row : rows_(sql_.all)) {
      const std::size_t bar = row.rfind('|');
      numbers[row.substr(0, bar)] = std::stoll(row.substr(bar + 1));
    }
    return numbers;
  }
  const auto transaction = driver_->begin_read_model();
  std::string name;
  long long number = 0;
  soci::statement query = (sql(*transaction).prepare << sql_.all, soci::into(name), soci::into(number));
  query.execute();
  while (query.fetch()) numbers[name] = number;
  return numbers;
}

}  // namespace stele::testing
