// Finds the values that JSON Pointers name in a text, so that others can stand in their place.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json_tree.h"
#include "stele/json_pointers.h"

namespace stele::detail {

/// Pointers by their tokens: what comes behind a token is looked for only where the token was found.
class PointerTree {
 public:
  struct Node {
    bool named = false;  // A pointer ends here.
    std::vector<std::pair<std::string, std::size_t>> next;
    std::size_t any = 0;  // Behind `*`; 0 when there is none.
  };

  PointerTree() : nodes_(1) {}
  explicit PointerTree(std::vector<std::string> pointers);

  const std::vector<std::string>& list() const noexcept { return list_; }
  const Node& node(std::size_t index) const noexcept { return nodes_[index]; }

 private:
  void add(std::string_view pointer);
  std::vector<std::string> list_;
  std::vector<Node> nodes_;
};

struct JsonPlace {
  std::size_t begin = 0;  // in the text
  std::size_t end = 0;
  std::string pointer;  // of this very value, without `*`
  const JsonNode* value = nullptr;
};

/// In the text's order; none within another.
std::vector<JsonPlace> find_places(const JsonTree& tree, const JsonPointers& pointers);

/// Each object with a member of this name, save those within such a one.
std::vector<JsonPlace> find_objects_with(const JsonTree& tree, std::string_view member);

/// The text with something else in each place; `replace(place, text of the value, out)` appends it.
template <class Replace>
std::string with_replaced(std::string_view json, const std::vector<JsonPlace>& places, Replace&& replace) {
  std::string out;
  out.reserve(json.size());
  std::size_t done = 0;
  for (const JsonPlace& place : places) {
    out += json.substr(done, place.begin - done);
    replace(place, json.substr(place.begin, place.end - place.begin), out);
    done = place.end;
  }
  out += json.substr(done);
  return out;
}

}  // namespace stele::detail
