// Appends as core hands them to a driver.
#pragma once

#include <deque>
#include <stdexcept>
#include <vector>

#include "stele/driver/driver.h"

namespace stele::testing {

/// What core makes of requests, one field after the other. Fingerprints are equal when the numbers given with them are.
class Prepared {
 public:
  /// Ids are given as in the request; those that it lacks are made, and known to be new.
  driver::PreparedAppend& add(AppendRequest request, std::uint8_t fingerprint = 0) {
    const AppendRequest& kept = requests_.emplace_back(std::move(request));
    driver::PreparedAppend& append = appends_.emplace_back();
    append.tenant = kept.streams.empty() ? kept.command->key.tenant : kept.streams.front().stream.tenant;
    append.conditions = kept.conditions;
    if (kept.command) {
      const Command& command = *kept.command;
      append.command = driver::PreparedCommand{.command = &command,
                                               .command_id = command.command_id.value_or(Uuid::v7()),
                                               .command_id_given = command.command_id.has_value(),
                                               .stream = kept.streams.empty() ? nullptr : &kept.streams.front().stream,
                                               .fingerprint = {}};
      append.command->fingerprint.fill(fingerprint);
    }
    for (const StreamAppend& stream : kept.streams) {
      driver::PreparedStream& to =
          append.streams.emplace_back(driver::PreparedStream{&stream.stream, stream.expected, {}});
      for (const NewEvent& event : stream.events) {
        driver::PreparedEvent& e = to.events.emplace_back();
        e.event = &event;
        e.event_id = event.event_id.value_or(Uuid::v7());
        e.event_id_given = event.event_id.has_value();
        e.occurred_at = event.occurred_at.value_or(Timestamp::now());
        e.occurred_at_given = event.occurred_at.has_value();
        e.source = event.source ? &*event.source : nullptr;
        e.channel = event.channel;
        e.causation_id = event.causation_id;
        e.causation_id_given = event.causation_id.has_value();
        if (append.command && !e.causation_id) e.causation_id = append.command->command_id;
      }
    }
    return append;
  }

  driver::PreparedAppend& operator[](std::size_t i) { return appends_[i]; }

  std::vector<AppendResult> send(driver::Driver& driver) {
    const std::vector<driver::AppendAnswer> answers = driver.append(appends_);
    if (answers.size() != appends_.size()) throw std::runtime_error("another number of answers than of appends");
    std::vector<AppendResult> results;
    for (const driver::AppendAnswer& answer : answers) {
      if (answer.error) throw *answer.error;
      results.push_back(answer.result);
    }
    return results;
  }

 private:
  std::deque<AppendRequest> requests_;  // What the prepared appends point into.
  std::vector<driver::PreparedAppend> appends_;
};

}  // namespace stele::testing
