// A schema as a list of what is in it, for comparison and for reading.
#pragma once

#include <map>
#include <string>

namespace stele::soci_backend {

/// Kind and name → definition: "trigger events_append_only on events".
using SchemaObjects = std::map<std::string, std::string>;

/// For databases that keep no statements that could be shown instead.
inline std::string dump_text(const SchemaObjects& objects) {
  std::string dump;
  for (const auto& [name, definition] : objects) dump += name + "\n" + definition + "\n";
  return dump;
}

}  // namespace stele::soci_backend
