#include "json_places.h"

#include <algorithm>

#include "schema_rules.h"
#include "stele/error.h"
#include "stele/limits.h"
#include "utf8.h"

namespace stele {
namespace detail {
namespace {

[[noreturn]] void refuse(std::string_view pointer, std::string_view why) {
  throw Error(ErrorCode::invalid_argument, "pointer \"" + std::string(pointer) + "\": " + std::string(why));
}

/// Appends a token while a value within is looked at.
class Within {
 public:
  Within(std::string& pointer, const JsonNode& parent, const JsonNode& child, std::size_t index)
      : pointer_(pointer), size_(pointer.size()) {
    append_pointer_token(parent.kind == JsonKind::object ? std::string(child.name) : std::to_string(index), pointer);
  }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;
  ~Within() { pointer_.resize(size_); }

 private:
  std::string& pointer_;
  std::size_t size_;
};

bool structured(const JsonNode& value) noexcept {
  return value.kind == JsonKind::object || value.kind == JsonKind::array;
}

JsonPlace place(const JsonNode& value, const std::string& pointer) {
  return {value.from, value.to, pointer, &value};
}

void find(const PointerTree& tree, const std::vector<std::size_t>& here, const JsonNode& value, std::string& pointer,
          std::vector<JsonPlace>& places) {
  if (std::any_of(here.begin(), here.end(), [&](std::size_t i) { return tree.node(i).named; })) {
    places.push_back(place(value, pointer));
    return;
  }
  if (!structured(value)) return;
  std::size_t index = 0;
  std::vector<std::size_t> next;
  for (const JsonNode* child = value.begin(); child != value.end(); child = child->next(), ++index) {
    const std::string element = value.kind == JsonKind::array ? std::to_string(index) : std::string();
    const std::string_view token = value.kind == JsonKind::array ? std::string_view(element) : child->name;
    next.clear();
    for (const std::size_t i : here) {
      const PointerTree::Node& node = tree.node(i);
      if (node.any != 0) next.push_back(node.any);
      for (const auto& [name, behind] : node.next) {
        if (name == token) next.push_back(behind);
      }
    }
    if (next.empty()) continue;
    const Within within(pointer, value, *child, index);
    find(tree, next, *child, pointer, places);
  }
}

void find_with(const JsonNode& value, std::string_view member, std::string& pointer, std::vector<JsonPlace>& places) {
  if (!structured(value)) return;
  if (find_member(value, member) != nullptr) {
    places.push_back(place(value, pointer));
    return;
  }
  std::size_t index = 0;
  for (const JsonNode* child = value.begin(); child != value.end(); child = child->next(), ++index) {
    if (!structured(*child)) continue;
    const Within within(pointer, value, *child, index);
    find_with(*child, member, pointer, places);
  }
}

}  // namespace

PointerTree::PointerTree(std::vector<std::string> pointers) : list_(std::move(pointers)), nodes_(1) {
  for (const std::string& pointer : list_) add(pointer);
}

void PointerTree::add(std::string_view pointer) {
  if (!is_valid_utf8(pointer) || pointer.find('\0') != std::string_view::npos) refuse("…", "is not valid UTF-8");
  if (!pointer.empty() && pointer.front() != '/') refuse(pointer, "has to be empty or to begin with '/'");
  std::size_t at = 0;
  std::size_t tokens = 0;
  std::string_view left = pointer;
  while (!left.empty()) {
    if (++tokens > limits::json_depth) refuse(pointer, "has more tokens than a document has levels");
    left.remove_prefix(1);
    const std::size_t slash = left.find('/');
    std::string token(left.substr(0, slash));
    left = slash == std::string_view::npos ? std::string_view() : left.substr(slash);
    const bool any = token == "*";
    for (std::size_t i = token.find('~'); i != std::string::npos; i = token.find('~', i + 1)) {
      const char escaped = i + 1 < token.size() ? token[i + 1] : '\0';
      if (escaped != '0' && escaped != '1') refuse(pointer, "'~' has to be followed by 0 or 1");
      token.replace(i, 2, escaped == '0' ? "~" : "/");
    }
    std::size_t behind = 0;
    if (any) {
      behind = nodes_[at].any;
    } else {
      for (const auto& [name, next] : nodes_[at].next) {
        if (name == token) behind = next;
      }
    }
    if (behind == 0) {
      behind = nodes_.size();
      nodes_.emplace_back();
      if (any) {
        nodes_[at].any = behind;
      } else {
        nodes_[at].next.emplace_back(std::move(token), behind);
      }
    }
    at = behind;
  }
  nodes_[at].named = true;
}

std::vector<JsonPlace> find_places(const JsonTree& tree, const JsonPointers& pointers) {
  std::vector<JsonPlace> places;
  std::string pointer;
  if (!pointers.empty()) find(pointers.tree(), {0}, tree.root(), pointer, places);
  return places;
}

std::vector<JsonPlace> find_objects_with(const JsonTree& tree, std::string_view member) {
  std::vector<JsonPlace> places;
  std::string pointer;
  find_with(tree.root(), member, pointer, places);
  return places;
}

}  // namespace detail

JsonPointers::JsonPointers() : tree_(std::make_shared<const detail::PointerTree>()) {}

JsonPointers::JsonPointers(std::vector<std::string> pointers)
    : tree_(std::make_shared<const detail::PointerTree>(std::move(pointers))) {}

const std::vector<std::string>& JsonPointers::list() const noexcept {
  return tree_->list();
}

}  // namespace stele
