// A JSON text as a flat tree that keeps every digit: what schemas are compiled from and checked against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json_sax.h"

namespace stele::detail {

enum class JsonKind : std::uint8_t { object, array, string, number, boolean_true, boolean_false, null };

/// A value. Its children follow it in memory, each with its own children: the first at this + 1, the next one `size`
/// behind.
struct JsonNode {
  std::string_view name;    ///< As a member of an object, decoded.
  std::string_view text;    ///< A string's characters, a number's spelling.
  std::uint32_t size = 1;   ///< Nodes of this value, itself included.
  std::uint32_t count = 0;  ///< Members or elements.
  std::uint32_t from = 0;   ///< Where it stands in the text: [from, to).
  std::uint32_t to = 0;
  JsonKind kind = JsonKind::null;

  const JsonNode* begin() const noexcept { return this + 1; }
  const JsonNode* end() const noexcept { return this + size; }
  const JsonNode* next() const noexcept { return this + size; }
};

/// The member with this name; nullptr when there is none, or no object.
const JsonNode* find_member(const JsonNode& object, std::string_view name) noexcept;

/// Appends one text for all values that are equal as JSON; see Json::canonical().
void append_canonical(const JsonNode& value, std::string& out);

/// Names and texts refer to the text, which has to outlive the tree.
class JsonTree {
 public:
  struct Rules : JsonRules {
    bool refuse_name_twice = false;  ///< Off for what a Json has checked.
  };

  /// Throws invalid_argument as Json does.
  JsonTree(std::string_view text, const Rules& rules);
  JsonTree(const JsonTree&) = delete;
  JsonTree& operator=(const JsonTree&) = delete;

  const JsonNode& root() const noexcept { return nodes_.front(); }
  std::size_t size() const noexcept { return nodes_.size(); }

 private:
  class Builder;
  std::vector<JsonNode> nodes_;
  std::string decoded_;  // Strings with escapes. Reserved at once, so that views stay.
};

}  // namespace stele::detail
