// The driver for SQL Server: a pool of sessions, and what they are used for.
#pragma once

#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

class MssqlDriver final : public driver::Driver, public driver::MigrationStore {
 public:
  /// Connects, to see that the database can be reached.
  explicit MssqlDriver(Settings settings);

  std::string_view name() const noexcept override;
  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override;
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override;
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override;
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override;
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override;
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override;
  std::optional<CommandRecord> find_command(const CommandKey& key) override;
  std::optional<CommandRecord> find_command(const Uuid& command_id) override;
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override;
  StoreStats stats() override;
  std::vector<std::string> list_tenants() override;
  void verify_storage(const VerifyOptions& options, VerifyReport& report) override;
  driver::ConnectionStats connection_stats() override;
  void grant_roles(const driver::RoleNames& names) override;
  driver::MigrationStore* migrations() noexcept override { return this; }

  std::span<const driver::Migration> migrations() const noexcept override;
  std::vector<driver::MigrationRecord> history() override;
  bool apply(const driver::MigrationStep& step) override;
  std::string dump_schema() override;

 private:
  SessionPool::Lease lease();
  /// Calls `use` with a session; once more with a new one when the first turns out to be gone and `use` only reads.
  template <class Use>
  auto reading(Use use);

  const Settings settings_;
  SessionPool sessions_;
};

}  // namespace stele::mssql
