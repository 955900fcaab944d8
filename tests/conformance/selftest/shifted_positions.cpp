#include "shifted_positions.h"

#include <algorithm>

namespace stele::testing {

// 0 is "no position" in outcomes and "before the first" in the log.
void ShiftedPositions::shift(Position& position) const {
  if (position > Position(0)) position = Position(position.value() + shift_);
}

void ShiftedPositions::shift(std::vector<StreamOutcome>& outcome) const {
  for (StreamOutcome& stream : outcome) {
    shift(stream.first_position);
    shift(stream.last_position);
  }
}

void ShiftedPositions::shift(driver::EventPage& page) const {
  for (std::size_t i = 0; i < page.size(); ++i) shift(page[i].position);
}

Position ShiftedPositions::inside(Position position) const {
  return Position(std::max<std::int64_t>(position.value() - shift_, 0));
}

std::vector<driver::AppendAnswer> ShiftedPositions::append(std::span<const driver::PreparedAppend> appends) {
  std::vector<driver::AppendAnswer> answers = inner().append(appends);
  for (driver::AppendAnswer& answer : answers) shift(answer.result.streams);
  return answers;
}

driver::AppendAnswer ShiftedPositions::append_with_hook(const driver::PreparedAppend& append,
                                                        const driver::AppendHook& hook) {
  driver::AppendAnswer answer = inner().append_with_hook(
      append, [&](driver::ReadModelTransaction& transaction, std::span<const RecordedEvent> events) {
        std::vector<RecordedEvent> shifted(events.begin(), events.end());
        for (RecordedEvent& event : shifted) shift(event.position);
        hook(transaction, shifted);
      });
  shift(answer.result.streams);
  return answer;
}

Position ShiftedPositions::settled_position() {
  Position position = inner().settled_position();
  shift(position);
  return position;
}

void ShiftedPositions::read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) {
  inner().read_stream(request, page);
  shift(page);
}

void ShiftedPositions::read_log(const driver::LogPageRequest& request, driver::EventPage& page) {
  driver::LogPageRequest changed = request;
  changed.after = inside(request.after);
  changed.before = inside(request.before);
  if (changed.before > Position(changed.after.value() + 1)) {
    inner().read_log(changed, page);
    shift(page);
  }
  page.scanned_to = std::max(request.after, Position(page.scanned_to.value() + shift_));
  page.scanned_to = std::min(page.scanned_to, Position(request.before.value() - 1));
}

std::optional<RecordedEvent> ShiftedPositions::find_event(const Uuid& event_id) {
  std::optional<RecordedEvent> event = inner().find_event(event_id);
  if (event) shift(event->position);
  return event;
}

std::optional<CommandRecord> ShiftedPositions::find_command(const CommandKey& key) {
  std::optional<CommandRecord> command = inner().find_command(key);
  if (command) shift(command->outcome);
  return command;
}

std::optional<CommandRecord> ShiftedPositions::find_command(const Uuid& command_id) {
  std::optional<CommandRecord> command = inner().find_command(command_id);
  if (command) shift(command->outcome);
  return command;
}

std::vector<CommandRecord> ShiftedPositions::list_commands(const StreamKey& stream, std::size_t limit) {
  std::vector<CommandRecord> commands = inner().list_commands(stream, limit);
  for (CommandRecord& command : commands) shift(command.outcome);
  return commands;
}

StoreStats ShiftedPositions::stats() {
  StoreStats stats = inner().stats();
  shift(stats.last_position);
  return stats;
}

}  // namespace stele::testing
