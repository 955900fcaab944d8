#include "stele/driver/replay.h"

namespace stele::driver {
namespace {

bool same_json(const std::optional<Json>& a, const std::optional<Json>& b) {
  return a.has_value() == b.has_value() && (!a || json_equal(*a, *b));
}

bool same_command(const PreparedAppend& append, const RecordedEvent& stored) {
  if (!append.command) return !stored.command;
  return stored.command && *stored.command == append.command->command->key;
}

AppendResult duplicate(bool by_id, const PreparedEvent& event, std::string why) {
  AppendResult result;
  if (by_id) {
    result.status = AppendStatus::duplicate_event_id;
    result.detail = "event id " + event.event_id.to_string() + " " + std::move(why);
  } else {
    result.status = AppendStatus::duplicate_idempotency_key;
    result.detail = "idempotency key '" + *event.event->idempotency_key + "' " + std::move(why);
  }
  return result;
}

}  // namespace

bool same_content(const PreparedAppend& append, const PreparedStream& stream, const PreparedEvent& event,
                  const RecordedEvent& stored) {
  const NewEvent& asked = *event.event;
  return stored.stream == *stream.key && (!asked.event_id || stored.event_id == *asked.event_id) &&
         (!event.occurred_at_given || stored.occurred_at == event.occurred_at) &&
         (!event.causation_id_given || stored.causation_id == event.causation_id) &&
         (append.command || event.causation_id_given || !stored.causation_id) && stored.type == asked.type &&
         stored.event_version == asked.event_version && stored.valid_from == asked.valid_from &&
         stored.valid_to == asked.valid_to && stored.actor == asked.actor &&
         (event.source != nullptr ? stored.source == *event.source : !stored.source) &&
         stored.channel == event.channel && stored.idempotency_key == asked.idempotency_key &&
         stored.correlation_id == asked.correlation_id && stored.redaction_level == asked.redaction_level &&
         stored.contains_secrets == asked.contains_secrets && stored.attributes == asked.attributes &&
         same_command(append, stored) && json_equal(stored.data, asked.data) &&
         same_json(stored.metadata, asked.metadata) && same_json(stored.policy_context, asked.policy_context) &&
         same_json(stored.model_context, asked.model_context) && same_json(stored.display, asked.display);
}

AppendResult decide_replay(const PreparedAppend& append, std::span<const ExistingEvent> found,
                           const std::function<Version(const StreamKey&)>& version_of) {
  const ExistingEvent& first = found.front();
  const PreparedEvent& first_event = append.streams[first.stream_index].events[first.event_index];
  std::size_t total = 0;
  for (const PreparedStream& stream : append.streams) total += stream.events.size();
  if (found.size() != total) {
    return duplicate(first.by_id != nullptr, first_event,
                     "is taken, and other events of this append are new: this is no repetition");
  }

  AppendResult result;
  result.status = AppendStatus::replayed;
  std::size_t next = 0;
  for (const PreparedStream& stream : append.streams) {
    StreamOutcome& outcome = result.streams.emplace_back();
    outcome.stream = *stream.key;
    if (stream.events.empty()) {
      outcome.last_version = version_of(*stream.key);
      outcome.first_version = Version(outcome.last_version.value() + 1);
      continue;
    }
    for (const PreparedEvent& event : stream.events) {
      const ExistingEvent& existing = found[next++];
      const bool by_id = existing.by_id != nullptr;
      const RecordedEvent& stored = by_id ? *existing.by_id : *existing.by_key;
      if (by_id && existing.by_key != nullptr && existing.by_key->event_id != stored.event_id) {
        return duplicate(false, event, "is taken by another event than its event id");
      }
      if (stored.stream != *stream.key) return duplicate(by_id, event, "is taken in another stream");
      const bool is_first = outcome.first_version == Version(0);
      if (!is_first && stored.version.value() != outcome.last_version.value() + 1) {
        return duplicate(by_id, event, "is taken, at another place than in this append");
      }
      if (!same_content(append, stream, event, stored))
        return duplicate(by_id, event, "is taken by an event that differs");
      if (is_first) {
        outcome.first_version = stored.version;
        outcome.first_position = stored.position;
      }
      outcome.last_version = stored.version;
      outcome.last_position = stored.position;
    }
  }
  return result;
}

}  // namespace stele::driver
