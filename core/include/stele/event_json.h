// The envelope as JSON: one event a line, the same field names in import, export and --json output.
#pragma once

#include <string>
#include <string_view>

#include "stele/append.h"
#include "stele/event.h"
#include "stele/read.h"

namespace stele {

/// One line without a line end. Payloads keep their text. Integers above 2^53 - 1 are written as strings, so that no
/// reader rounds them. Absent optional fields are left out.
STELE_API std::string to_json_line(const RecordedEvent& event);
STELE_API std::string to_json_line(const StreamInfo& info);
STELE_API std::string to_json_line(const CommandRecord& record);
STELE_API std::string to_json_line(const AppendResult& result);
STELE_API std::string to_json_line(const StoreStats& stats);

/// One line of an import.
struct ImportedEvent {
  StreamKey stream;
  NewEvent event;
  std::optional<std::string> request_id;      ///< With it the event belongs to a command.
  std::optional<std::string> command_source;  ///< The command's source, where it is not the event's.
  std::optional<Uuid> command_id;             ///< The command's id, where the line has one.

  /// The command's key; nullopt without a request_id. Throws invalid_argument when no source is known.
  STELE_API std::optional<CommandKey> command_key() const;
};

/// Reads what to_json_line(RecordedEvent) writes, to the letter of every payload. stream_type, stream_id, event_type
/// and data are required; global_position, stream_version and recorded_at are the store's and are ignored; null is
/// absent. Throws invalid_argument that names the field; an unknown field is an error.
STELE_API ImportedEvent parse_event_line(std::string_view line);

/// The same line as the event that it was: what the store gave it is read, and required, too. Throws likewise.
STELE_API RecordedEvent parse_recorded_line(std::string_view line);

}  // namespace stele
