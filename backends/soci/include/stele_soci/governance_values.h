// How values of governance are kept in a column: one form for all backends.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "stele/chain.h"
#include "stele/error.h"
#include "stele/governance.h"
#include "stele/json.h"

namespace stele::soci_backend {

[[noreturn]] inline void throw_corrupt(std::string_view backend, std::string message) {
  throw Error(ErrorCode::corrupt, std::move(message),
              {.backend = std::string(backend), .native_code = 0, .sqlstate = {}, .retryable = false, .outcome = {}});
}

inline std::string masked_to_json(const std::vector<std::string>& masked) {
  return Json(nlohmann::json(masked)).text();
}

inline std::vector<std::string> masked_from_json(std::string_view backend, std::string_view text) {
  const nlohmann::json list = nlohmann::json::parse(text, nullptr, false);
  const auto is_text = [](const nlohmann::json& place) { return place.is_string(); };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_text)) {
    throw_corrupt(backend, "an event type's masked places are no list of texts");
  }
  return list.get<std::vector<std::string>>();
}

inline SchemaMode schema_mode(std::string_view backend, std::string_view name) {
  const std::optional<SchemaMode> mode = parse_schema_mode(name);
  if (!mode) throw_corrupt(backend, "an event type has a schema mode outside the list");
  return *mode;
}

inline std::string_view bytes_of(const ChainHash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

inline ChainHash hash_of(std::string_view backend, std::string_view bytes) {
  ChainHash hash{};
  if (bytes.size() != hash.size()) throw_corrupt(backend, "a hash has not 32 bytes");
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

}  // namespace stele::soci_backend
