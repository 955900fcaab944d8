#include "archive_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "json_write.h"
#include "stele/event_json.h"

namespace stele::detail {
namespace {

void write_list(std::string_view name, const std::vector<std::string>& texts, JsonObjectWriter& to) {
  std::string& out = to.name(name);
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i != 0) out += ',';
    append_json_string(texts[i], out);
  }
  out += ']';
}

/// Members of the first or the last line. Throws invalid_argument that names the member.
class Members {
 public:
  explicit Members(std::string_view line) : object_(nlohmann::json::parse(line, nullptr, false)) {
    if (!object_.is_object()) throw Error(ErrorCode::invalid_argument, "is no JSON object");
  }

  std::string text(const char* name) {
    const nlohmann::json value = take(name);
    if (!value.is_string()) refuse(name, "has to be a string");
    return value.get<std::string>();
  }
  Timestamp time(const char* name) {
    try {
      return Timestamp::parse(text(name));
    } catch (const Error& error) {
      refuse(name, error.message());
    }
  }
  std::int64_t count(const char* name) {
    const nlohmann::json value = take(name);
    if (!value.is_number_unsigned() && !(value.is_number_integer() && value.get<std::int64_t>() >= 0)) {
      refuse(name, "has to be a whole number");
    }
    return value.get<std::int64_t>();
  }
  std::vector<std::string> texts(const char* name) {
    const nlohmann::json value = take(name);
    std::vector<std::string> texts;
    if (!value.is_array()) refuse(name, "has to be an array");
    for (const nlohmann::json& each : value) {
      if (!each.is_string()) refuse(name, "has to be an array of strings");
      texts.push_back(each.get<std::string>());
    }
    return texts;
  }
  void end() const {
    if (!object_.empty()) refuse(object_.begin().key(), "is unknown");
  }

 private:
  [[noreturn]] static void refuse(const std::string& name, const std::string& why) {
    throw Error(ErrorCode::invalid_argument, "member \"" + name + "\": " + why);
  }
  nlohmann::json take(const char* name) {
    const auto found = object_.find(name);
    if (found == object_.end()) refuse(name, "is missing");
    nlohmann::json value = std::move(*found);
    object_.erase(found);
    return value;
  }

  nlohmann::json object_;
};

std::string number(std::int64_t value) {
  return std::to_string(value);
}

}  // namespace

std::string archive_header_line(const ArchiveInfo& info) {
  std::string line;
  JsonObjectWriter to(line);
  to.text("format", archive_format);
  to.text("made_at", info.made_at.to_string());
  to.text("before", info.before.to_string());
  write_list("closing_types", info.closing_types, to);
  write_list("tenants", info.tenants, to);
  to.end();
  return line;
}

std::string archive_end_line(const ArchiveInfo& info) {
  std::string line;
  JsonObjectWriter to(line);
  to.text("end", archive_format);
  to.integer("events", info.events);
  to.integer("streams", info.streams);
  to.text("sha256", stele::to_hex(info.sha256));
  to.end();
  return line;
}

ArchiveReader::ArchiveReader(const std::string& path) : lines_(path) {
  read_header();
}

std::string_view ArchiveReader::next_line() {
  std::string_view line;
  if (!lines_.next(line)) lines_.fail("the archive's last line is missing");
  return line;
}

void ArchiveReader::read_header() {
  const std::string_view line = next_line();
  try {
    Members members(line);
    const std::string format = members.text("format");
    if (format != archive_format) {
      // One that a later program wrote is not damaged.
      const bool later = format.starts_with("stele archive ");
      throw Error(later ? ErrorCode::unsupported : ErrorCode::invalid_argument,
                  "its format is \"" + format + "\", and this program reads \"" + std::string(archive_format) + "\"");
    }
    info_.made_at = members.time("made_at");
    info_.before = members.time("before");
    info_.closing_types = members.texts("closing_types");
    info_.tenants = members.texts("tenants");
    members.end();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) lines_.fail(error.message());
    throw Error(error.code(), "line 1: " + error.message());
  }
  digest_.add(line);
  digest_.add("\n");
}

std::optional<RecordedEvent> ArchiveReader::next() {
  if (ended_) return std::nullopt;
  const std::string_view line = next_line();
  if (line.starts_with(R"({"end":)")) {
    read_end(line);
    ended_ = true;
    return std::nullopt;
  }
  RecordedEvent event = read_event(line);
  digest_.add(line);
  digest_.add("\n");
  ++info_.events;
  return event;
}

RecordedEvent ArchiveReader::read_event(std::string_view line) {
  RecordedEvent event;
  try {
    event = parse_recorded_line(line);
    AppendRequest request;
    NewEvent& alone =
        request.streams.emplace_back(StreamAppend{event.stream, ExpectedVersion::any(), {}}).events.emplace_back();
    static_cast<EventFields&>(alone) = std::move(static_cast<EventFields&>(event));
    alone.event_id = event.event_id;
    alone.as_stored = true;
    EventStore::validate(request);
    static_cast<EventFields&>(event) = std::move(static_cast<EventFields&>(alone));
  } catch (const Error& error) {
    lines_.fail(error.message());
  }
  check_place(event);
  return event;
}

void ArchiveReader::check_place(const RecordedEvent& event) {
  const bool goes_on = last_ && last_->stream == event.stream;
  if (goes_on) {
    if (event.version.value() != last_->version.value() + 1) {
      lines_.fail("version " + number(event.version.value()) + " of " + event.stream.to_string() + " follows version " +
                  number(last_->version.value()));
    }
    if (event.position <= last_->position) lines_.fail("its position is not above that of the version before it");
    if (event.recorded_at < last_->recorded_at) lines_.fail("it was recorded before the version before it");
  } else {
    end_stream();
    if (last_ && event.stream < last_->stream) {
      lines_.fail(event.stream.to_string() + " comes behind " + last_->stream.to_string() +
                  ", so the streams are not in order");
    }
    if (event.version != Version(1)) {
      lines_.fail(event.stream.to_string() + " begins with version " + number(event.version.value()));
    }
    if (!std::binary_search(info_.tenants.begin(), info_.tenants.end(), event.stream.tenant)) {
      lines_.fail("its tenant is none of the archive's");
    }
    ++info_.streams;
  }
  last_ = Last{event.stream, event.version, event.position, event.recorded_at, event.type};
}

// The fault is told with the line behind it, where it shows.
void ArchiveReader::end_stream() {
  if (!last_) return;
  const std::string stream = "the stream before, " + last_->stream.to_string() + ", ";
  if (last_->recorded_at >= info_.before) lines_.fail(stream + "was not closed: its last event is too young");
  const std::vector<std::string>& closing = info_.closing_types;
  if (!closing.empty() && std::find(closing.begin(), closing.end(), last_->type) == closing.end()) {
    lines_.fail(stream + "was not closed: its last event is of another type");
  }
}

void ArchiveReader::read_end(std::string_view line) {
  end_stream();
  info_.sha256 = digest_.finish();
  std::int64_t events = 0;
  std::int64_t streams = 0;
  std::string hash;
  try {
    Members members(line);
    if (members.text("end") != archive_format)
      throw Error(ErrorCode::invalid_argument, "is not this format's last line");
    events = members.count("events");
    streams = members.count("streams");
    hash = members.text("sha256");
    members.end();
  } catch (const Error& error) {
    lines_.fail(error.message());
  }
  if (events != info_.events) {
    lines_.fail("says " + number(events) + " events, and there are " + number(info_.events));
  }
  if (streams != info_.streams) {
    lines_.fail("says " + number(streams) + " streams, and there are " + number(info_.streams));
  }
  if (hash != stele::to_hex(info_.sha256)) lines_.fail("the checksum is not that of the lines before");
  std::string_view more;
  if (lines_.next(more)) lines_.fail("follows behind the archive's last line");
}

}  // namespace stele::detail
