#include "import_groups.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "stele/error.h"
#include "stele/event_store.h"
#include "stele/limits.h"

namespace stele::cli {
namespace {

constexpr std::size_t max_group_bytes = 2 * limits::append_bytes;  // A line is more than its payloads.

/// Whose line it is, although it is bad; nullopt when it cannot be told.
std::optional<CommandKey> key_of_bad_line(std::string_view text) {
  const nlohmann::json line = nlohmann::json::parse(text, nullptr, false);
  if (!line.is_object()) return std::nullopt;
  const auto field = [&](const char* name) {
    const auto found = line.find(name);
    return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  CommandKey key{field("tenant_id"), field("command_source"), field("request_id")};
  if (key.tenant.empty()) key.tenant = default_tenant;
  if (key.source.empty()) key.source = field("source");
  if (key.source.empty() || key.request_id.empty()) return std::nullopt;
  return key;
}

Command command_of(const CommandKey& key, const std::optional<Uuid>& command_id) {
  Command command;
  command.key = key;
  command.type = "import";
  command.command_id = command_id;
  return command;
}

/// "stream_id: must not be empty" becomes what the parser of lines would say: `field "stream_id": …`.
std::string naming_the_field(const std::string& message) {
  const std::size_t end = message.find(": ");
  const auto in_name = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  if (end == std::string::npos ||
      !std::all_of(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(end), in_name)) {
    return message;
  }
  return "field \"" + message.substr(0, end) + "\"" + message.substr(end);
}

/// Checks an event by itself, so that what is wrong is blamed on its own line.
void validate_alone(ImportedEvent& event, const std::optional<CommandKey>& key) {
  AppendRequest request;
  StreamAppend& stream = request.streams.emplace_back();
  stream.stream = event.stream;
  stream.events.push_back(std::move(event.event));
  if (key) request.command = command_of(*key, event.command_id);
  try {
    EventStore::validate(request);
  } catch (const Error& error) {
    throw Error(error.code(), naming_the_field(error.message()));
  }
  event.event = std::move(stream.events.front());
}

}  // namespace

bool LineGroup::importable() const noexcept {
  return std::all_of(lines.begin(), lines.end(), [](const ImportLine& line) { return line.reason.empty(); });
}

void LineGrouper::add(std::int64_t number, std::string_view text) {
  ImportLine line{number, keep_text_ ? std::string(text) : std::string(), {}};
  std::optional<CommandKey> key;
  std::optional<ImportedEvent> event;
  try {
    event = parse_event_line(text);
    event->event.as_stored = as_stored_;
    if (!event->request_id && !event->event.event_id) {
      if (!request_source_) {
        throw Error(ErrorCode::invalid_argument,
                    "field \"request_id\": is required without an event_id, or a repeated import would add the event "
                    "again; see --request-source");
      }
      event->request_id = std::to_string(number);
      event->command_source = request_source_;
    }
    key = event->command_key();
    validate_alone(*event, key);
  } catch (const Error& error) {
    event.reset();
    line.reason = error.message();
    if (!key) key = key_of_bad_line(text);
    if (!key) {
      if (group_ && unreadable_bytes_ + text.size() > max_group_bytes) finish();
      if (group_) {
        unreadable_bytes_ += text.size();
        unreadable_.push_back(std::move(line));
        return;
      }
    }
  }
  place(std::move(key), std::move(line), text.size(), std::move(event));
}

void LineGrouper::place(std::optional<CommandKey> key, ImportLine line, std::size_t bytes,
                        std::optional<ImportedEvent> event) {
  const bool continues = group_ && key && group_->key == key;
  if (continues) {
    group_->bytes += unreadable_bytes_;
    for (ImportLine& unreadable : unreadable_) group_->lines.push_back(std::move(unreadable));
    unreadable_.clear();
    unreadable_bytes_ = 0;
  } else {
    finish();
    start(std::move(key));
  }
  if (event) add_event(std::move(*event), line);
  group_->bytes += bytes;
  group_->lines.push_back(std::move(line));
  if (oversized_ || group_->bytes > max_group_bytes || group_->lines.size() > limits::events_per_append) {
    refuse_oversized();
  } else if (!group_->key) {
    finish();
  }
}

void LineGrouper::add_event(ImportedEvent event, ImportLine& line) {
  std::optional<Command>& command = group_->request.command;
  if (command && event.command_id) {
    if (command->command_id && command->command_id != event.command_id) {
      line.reason = "field \"command_id\": differs from the one before it in the same request";
      return;
    }
    command->command_id = event.command_id;
  }
  std::vector<StreamAppend>& streams = group_->request.streams;
  auto stream = std::find_if(streams.begin(), streams.end(),
                             [&](const StreamAppend& append) { return append.stream == event.stream; });
  if (stream == streams.end()) {
    streams.push_back({std::move(event.stream), ExpectedVersion::any(), {}});
    stream = streams.end() - 1;
  }
  stream->events.push_back(std::move(event.event));
}

void LineGrouper::start(std::optional<CommandKey> key) {
  oversized_ = false;
  group_.emplace();
  if (key) group_->request.command = command_of(*key, std::nullopt);
  group_->key = std::move(key);
}

// Too much for one append: it is given away in pieces as refused, so that memory stays bounded.
void LineGrouper::refuse_oversized() {
  std::optional<CommandKey> key = group_->key;
  for (ImportLine& line : group_->lines) {
    if (line.reason.empty()) line.reason = "its request is larger than one append may be";
  }
  sink_(std::move(*group_));
  start(std::move(key));
  oversized_ = true;
}

void LineGrouper::finish() {
  if (group_) {
    LineGroup group = std::move(*group_);
    group_.reset();
    oversized_ = false;
    if (group.importable() && group.lines.size() > 1) {
      // What only shows when the events are together, such as an event id that comes twice.
      try {
        EventStore::validate(group.request);
      } catch (const Error& error) {
        group.lines.back().reason = error.message() + " (in the request of lines " +
                                    std::to_string(group.lines.front().number) + " to " +
                                    std::to_string(group.lines.back().number) + ")";
      }
    }
    if (!group.lines.empty()) sink_(std::move(group));
  }
  unreadable_bytes_ = 0;
  for (ImportLine& line : std::exchange(unreadable_, {})) {
    LineGroup alone;
    alone.bytes = line.text.size();
    alone.lines.push_back(std::move(line));
    sink_(std::move(alone));
  }
}

}  // namespace stele::cli
