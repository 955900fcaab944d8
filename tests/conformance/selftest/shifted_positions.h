// A correct driver whose positions begin later than those of the one inside: the reference driver has no gaps of its
// own.
#pragma once

#include "stele/testing/forwarding_driver.h"

namespace stele::testing {

class ShiftedPositions final : public ForwardingDriver {
 public:
  ShiftedPositions(std::unique_ptr<driver::Driver> inner, Position shift)
      : ForwardingDriver(std::move(inner)), shift_(shift.value()) {}

  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override;
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override;
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override;
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override;
  std::optional<CommandRecord> find_command(const CommandKey& key) override;
  std::optional<CommandRecord> find_command(const Uuid& command_id) override;
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override;
  StoreStats stats() override;
  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override;
  Position settled_position() override;

 private:
  void shift(Position& position) const;
  void shift(std::vector<StreamOutcome>& outcome) const;
  void shift(driver::EventPage& page) const;
  Position inside(Position position) const;

  const std::int64_t shift_;
};

}  // namespace stele::testing
