// Reading what was typed: every function throws UsageError that names the argument.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "stele/append.h"
#include "stele/json.h"
#include "stele/timestamp.h"
#include "stele/types.h"
#include "stele/uuid.h"

namespace stele::cli {

std::int64_t parse_integer(const std::string& option, std::string_view text, std::int64_t low = 0,
                           std::int64_t high = std::numeric_limits<std::int64_t>::max());
Timestamp parse_time(const std::string& option, const std::string& text);
Uuid parse_uuid(const std::string& option, const std::string& text);

/// "TYPE/ID", divided at the first slash.
StreamKey parse_stream(const std::string& option, const std::string& text, const std::string& tenant);

/// "any", "none", "exists" or a version.
ExpectedVersion parse_expected(const std::string& option, const std::string& text);

/// "user:anna", divided at the first colon.
Actor parse_actor(const std::string& option, const std::string& text);
Channel parse_channel_option(const std::string& option, const std::string& text);
RedactionLevel parse_redaction_option(const std::string& option, const std::string& text);

/// "left<separator>right", divided at the first separator, neither side empty.
std::pair<std::string, std::string> parse_pair(const std::string& option, const std::string& text, char separator);

/// JSON as it stands, or the content of a file ("@path") or of standard input ("-").
Json parse_json(const std::string& option, const std::string& text);

/// The content of a file, or of standard input ("-").
std::string read_file(const std::string& argument, const std::string& path);

}  // namespace stele::cli
