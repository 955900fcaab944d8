#include "stele/testing/harness.h"

#include <mutex>
#include <stdexcept>

#include "stele/testing/forwarding_driver.h"

namespace stele::testing {
namespace {

[[noreturn]] void not_offered(Capability capability) {
  throw std::logic_error("the harness names the capability " + std::string(to_string(capability)) +
                         " and does not offer it");
}

class CountersInMemory final : public Counters {
 public:
  void add(driver::ReadModelTransaction& transaction, const std::string& key, std::int64_t number) override {
    transaction.on_commit([this, key, number] {
      const std::lock_guard lock(mutex_);
      numbers_[key] += number;
    });
  }
  void forget(driver::ReadModelTransaction& transaction, const std::string& prefix) override {
    transaction.on_commit([this, prefix] {
      const std::lock_guard lock(mutex_);
      std::erase_if(numbers_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
    });
  }
  std::map<std::string, std::int64_t> read() override {
    const std::lock_guard lock(mutex_);
    return numbers_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::int64_t> numbers_;
};

}  // namespace

std::string_view to_string(Capability capability) noexcept {
  switch (capability) {
    case Capability::none: return "none";
    case Capability::durable: return "durable";
    case Capability::raw_sql: return "raw_sql";
    case Capability::corruption: return "corruption";
    case Capability::migrations: return "migrations";
    case Capability::write_lock: return "write_lock";
    case Capability::positions: return "positions";
    case Capability::read_models: return "read_models";
    case Capability::governance: return "governance";
  }
  return "?";
}

Counters::~Counters() = default;
Harness::~Harness() = default;
std::string Harness::raw_sql(const std::string&) {
  not_offered(Capability::raw_sql);
}
std::vector<RawScript> Harness::immutability_attacks() {
  not_offered(Capability::raw_sql);
}
std::vector<RawScript> Harness::corruptions() {
  not_offered(Capability::corruption);
}
std::vector<RawScript> Harness::forgeries() {
  not_offered(Capability::corruption);
}
std::unique_ptr<driver::Driver> Harness::open_unmigrated() {
  not_offered(Capability::migrations);
}
void Harness::hold_write_lock(const std::function<void()>&) {
  not_offered(Capability::write_lock);
}
void Harness::skip_positions_to(Position) {
  not_offered(Capability::positions);
}
Counters& Harness::counters() {
  not_offered(Capability::read_models);
}

std::unique_ptr<Counters> counters_in_memory() {
  return std::make_unique<CountersInMemory>();
}

std::unique_ptr<driver::Driver> share(std::shared_ptr<driver::Driver> driver) {
  return std::make_unique<ForwardingDriver>(std::move(driver));
}

}  // namespace stele::testing
