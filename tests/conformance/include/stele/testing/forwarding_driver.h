// A driver that passes every call on to another one: the base of decorators that change a little of it.
#pragma once

#include <memory>

#include "stele/driver/driver.h"

namespace stele::testing {

class ForwardingDriver : public driver::Driver {
 public:
  explicit ForwardingDriver(std::unique_ptr<driver::Driver> inner) : inner_(std::move(inner)) {}

  std::string_view name() const noexcept override { return inner_->name(); }
  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override {
    return inner_->append(appends);
  }
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    inner_->read_stream(request, page);
  }
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    inner_->read_log(request, page);
  }
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override { return inner_->find_event(event_id); }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override { return inner_->stream_info(stream); }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    return inner_->list_streams(options);
  }
  std::optional<CommandRecord> find_command(const CommandKey& key) override { return inner_->find_command(key); }
  std::optional<CommandRecord> find_command(const Uuid& command_id) override {
    return inner_->find_command(command_id);
  }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    return inner_->list_commands(stream, limit);
  }
  StoreStats stats() override { return inner_->stats(); }
  std::vector<std::string> list_tenants() override { return inner_->list_tenants(); }
  void verify_storage(const VerifyOptions& options, VerifyReport& report) override {
    inner_->verify_storage(options, report);
  }
  driver::MigrationStore* migrations() noexcept override { return inner_->migrations(); }

 protected:
  driver::Driver& inner() noexcept { return *inner_; }

 private:
  std::unique_ptr<driver::Driver> inner_;
};

}  // namespace stele::testing
