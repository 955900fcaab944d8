// A log in memory, and every way to read it: of the reference driver, and of an archive that is open.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stele/driver/driver.h"

namespace stele::detail {

/// Not locked: its owner sees to that. Reading is as of driver::Driver. Positions may have gaps.
class MemoryLog {
 public:
  /// Its position is above all others, its version the next of its stream, its id new.
  void add(RecordedEvent event);

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(events_.size()); }
  Position last_position() const noexcept { return events_.empty() ? Position() : events_.back().position; }
  const std::vector<RecordedEvent>& events() const noexcept { return events_; }

  /// Null when there is none.
  const RecordedEvent* find(const Uuid& event_id) const;
  const RecordedEvent* find(const StreamKey& stream, const std::string& idempotency_key) const;
  const RecordedEvent* find(const StreamKey& stream, Version version) const;
  const RecordedEvent* last_of(const StreamKey& stream) const;
  Version version_of(const StreamKey& stream) const;

  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) const;
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) const;
  std::optional<StreamInfo> stream_info(const StreamKey& stream) const;
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) const;
  /// Nothing of commands.
  StoreStats stats() const;
  std::set<std::string> tenants() const;
  void verify(VerifyReport& report) const;

 private:
  using Stream = std::vector<std::size_t>;  // Indexes of its events.

  StreamInfo info(const StreamKey& key, const Stream& stream) const;

  std::vector<RecordedEvent> events_;  // By position.
  std::map<StreamKey, Stream> streams_;
  std::unordered_map<Uuid, std::size_t> by_id_;
  std::map<std::pair<StreamKey, std::string>, std::size_t> by_key_;
};

}  // namespace stele::detail
