// A copy of a PreparedAppend that owns what it points to, so that a decorator can change it.
#pragma once

#include <deque>

#include "stele/driver/driver.h"

namespace stele::testing {

class EditedAppend {
 public:
  explicit EditedAppend(const driver::PreparedAppend& original)
      : append(original), conditions(original.conditions.begin(), original.conditions.end()) {
    for (driver::PreparedStream& stream : append.streams) {
      stream.key = &keys.emplace_back(*stream.key);
      for (driver::PreparedEvent& event : stream.events) event.event = &events.emplace_back(*event.event);
    }
    append.conditions = conditions;
    if (append.command) {
      command = *append.command->command;
      append.command->command = &command;
      if (append.command->stream != nullptr) {
        command_stream = *append.command->stream;
        append.command->stream = &command_stream;
      }
    }
  }
  EditedAppend(const EditedAppend&) = delete;
  EditedAppend& operator=(const EditedAppend&) = delete;

  /// What it appends, as if no one had asked for it before: no command, new ids, no idempotency keys, no expectations.
  void make_new_request() {
    append.command.reset();
    append.conditions = {};
    for (NewEvent& event : events) event.idempotency_key.reset();
    for (driver::PreparedStream& stream : append.streams) {
      stream.expected = ExpectedVersion::any();
      for (driver::PreparedEvent& event : stream.events) {
        event.event_id = Uuid::v7();
        event.event_id_given = false;
      }
    }
  }

  driver::PreparedAppend append;  // Points into the members below.
  std::deque<StreamKey> keys;     // Of the streams, in order.
  std::deque<NewEvent> events;    // Of all streams, in order.
  std::vector<StreamCondition> conditions;
  Command command;
  StreamKey command_stream;
};

}  // namespace stele::testing
