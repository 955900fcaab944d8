#include "soci_counters.h"

#include "stele/soci.h"

namespace stele::testing {
namespace {

constexpr const char* all = "SELECT name, number FROM conformance_counters";

}  // namespace

SociCounters::SociCounters(std::unique_ptr<driver::Driver> driver, Rows rows)
    : driver_(std::move(driver)), rows_(std::move(rows)) {
  const auto transaction = driver_->begin_read_model();
  sql(*transaction)
      << "CREATE TABLE IF NOT EXISTS conformance_counters (name text PRIMARY KEY, number bigint NOT NULL)";
  transaction->commit();
}

void SociCounters::add(driver::ReadModelTransaction& transaction, const std::string& key, std::int64_t number) {
  const auto value = static_cast<long long>(number);
  sql(transaction) << "INSERT INTO conformance_counters (name, number) VALUES (:name, :number) ON CONFLICT (name) "
                      "DO UPDATE SET number = conformance_counters.number + excluded.number",
      soci::use(key, "name"), soci::use(value, "number");
}

void SociCounters::forget(driver::ReadModelTransaction& transaction, const std::string& prefix) {
  const auto length = static_cast<int>(prefix.size());
  sql(transaction) << "DELETE FROM conformance_counters WHERE substr(name, 1, :length) = :prefix",
      soci::use(length, "length"), soci::use(prefix, "prefix");
}

std::map<std::string, std::int64_t> SociCounters::read() {
  std::map<std::string, std::int64_t> numbers;
  if (rows_) {
    for (const std::string& row : rows_(all)) {
      const std::size_t bar = row.rfind('|');
      numbers[row.substr(0, bar)] = std::stoll(row.substr(bar + 1));
    }
    return numbers;
  }
  const auto transaction = driver_->begin_read_model();
  std::string name;
  long long number = 0;
  soci::statement query = (sql(*transaction).prepare << all, soci::into(name), soci::into(number));
  query.execute();
  while (query.fetch()) numbers[name] = number;
  return numbers;
}

}  // namespace stele::testing
