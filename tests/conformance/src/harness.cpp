#include "stele/testing/harness.h"

#include <stdexcept>

namespace stele::testing {
namespace {

[[noreturn]] void not_offered(Capability capability) {
  throw std::logic_error("the harness names the capability " + std::string(to_string(capability)) +
                         " and does not offer it");
}

class SharedDriver final : public driver::Driver {
 public:
  explicit SharedDriver(std::shared_ptr<driver::Driver> driver) : driver_(std::move(driver)) {}

  std::string_view name() const noexcept override { return driver_->name(); }
  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override {
    return driver_->append(appends);
  }
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    driver_->read_stream(request, page);
  }
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    driver_->read_log(request, page);
  }
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override { return driver_->find_event(event_id); }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override { return driver_->stream_info(stream); }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    return driver_->list_streams(options);
  }
  std::optional<CommandRecord> find_command(const CommandKey& key) override { return driver_->find_command(key); }
  std::optional<CommandRecord> find_command(const Uuid& command_id) override {
    return driver_->find_command(command_id);
  }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    return driver_->list_commands(stream, limit);
  }
  StoreStats stats() override { return driver_->stats(); }
  std::vector<std::string> list_tenants() override { return driver_->list_tenants(); }
  void verify_storage(const VerifyOptions& options, VerifyReport& report) override {
    driver_->verify_storage(options, report);
  }
  driver::MigrationStore* migrations() noexcept override { return driver_->migrations(); }

 private:
  std::shared_ptr<driver::Driver> driver_;
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
  }
  return "?";
}

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
std::unique_ptr<driver::Driver> Harness::open_unmigrated() {
  not_offered(Capability::migrations);
}
void Harness::hold_write_lock(const std::function<void()>&) {
  not_offered(Capability::write_lock);
}
void Harness::skip_positions_to(Position) {
  not_offered(Capability::positions);
}

std::unique_ptr<driver::Driver> share(std::shared_ptr<driver::Driver> driver) {
  return std::make_unique<SharedDriver>(std::move(driver));
}

}  // namespace stele::testing
