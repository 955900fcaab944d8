#include "json_tree.h"

#include <algorithm>

#include "exact_decimal.h"
#include "json_names.h"
#include "json_write.h"

namespace stele::detail {

class JsonTree::Builder {
 public:
  Builder(JsonTree& tree, std::string_view text, bool refuse_name_twice)
      : tree_(tree), text_(text), refuse_name_twice_(refuse_name_twice) {}

  void open(bool object, std::size_t end) {
    if (refuse_name_twice_) names_.open(object);
    open_.push_back(tree_.nodes_.size());
    add(object ? JsonKind::object : JsonKind::array, {}, end);
  }
  void close(bool object, std::size_t end) {
    if (refuse_name_twice_) names_.close(object);
    JsonNode& closed = tree_.nodes_[open_.back()];
    closed.to = static_cast<std::uint32_t>(end);
    done_ = end;
    closed.size = static_cast<std::uint32_t>(tree_.nodes_.size() - open_.back());
    open_.pop_back();
  }
  void name(std::string_view name, std::size_t end) {
    if (refuse_name_twice_) names_.name(name, end);
    name_ = kept(name, end);
    done_ = end;
  }
  void string(std::string_view text, std::size_t end) { add(JsonKind::string, kept(text, end), end); }
  void number(std::string_view number, std::size_t end) { add(JsonKind::number, kept(number, end + 1), end); }
  void literal(std::string_view word, std::size_t end) {
    add(word == "true" ? JsonKind::boolean_true : word == "false" ? JsonKind::boolean_false : JsonKind::null, {}, end);
  }

 private:
  void add(JsonKind kind, std::string_view text, std::size_t end) {
    // The parent's count: an open one's node is the parent of what comes next, but not of itself.
    const std::size_t depth = open_.size() - (kind == JsonKind::object || kind == JsonKind::array ? 1 : 0);
    if (depth != 0) ++tree_.nodes_[open_[depth - 1]].count;
    JsonNode& node = tree_.nodes_.emplace_back();
    node.name = name_;
    node.text = text;
    node.kind = kind;
    node.from = static_cast<std::uint32_t>(text_.find_first_not_of(" \t\r\n,:", done_));
    node.to = static_cast<std::uint32_t>(end);
    done_ = end;
    name_ = {};
  }

  /// The same characters at a place that stays: in the text itself, just before the closing quote, if they need no
  /// decoding.
  std::string_view kept(std::string_view seen, std::size_t end) {
    if (end > seen.size() && end - 1 <= text_.size()) {
      const std::string_view there = text_.substr(end - 1 - seen.size(), seen.size());
      if (there == seen) return there;
    }
    if (tree_.decoded_.capacity() < text_.size()) tree_.decoded_.reserve(text_.size());
    const std::size_t begin = tree_.decoded_.size();
    tree_.decoded_ += seen;
    return std::string_view(tree_.decoded_).substr(begin, seen.size());
  }

  JsonTree& tree_;
  std::string_view text_;
  bool refuse_name_twice_;
  JsonNames names_;
  std::vector<std::size_t> open_;
  std::string_view name_;
  std::size_t done_ = 0;  // behind the last token
};

JsonTree::JsonTree(std::string_view text, const Rules& rules) {
  nodes_.reserve(std::min<std::size_t>(text.size() / 8 + 4, 1024));
  Builder builder(*this, text, rules.refuse_name_twice);
  scan_json(text, builder, rules);
}

const JsonNode* find_member(const JsonNode& object, std::string_view name) noexcept {
  if (object.kind != JsonKind::object) return nullptr;
  for (const JsonNode* member = object.begin(); member != object.end(); member = member->next()) {
    if (member->name == name) return member;
  }
  return nullptr;
}

// Recursion is as deep as the document, which is limited.
void append_canonical(const JsonNode& value, std::string& out) {
  switch (value.kind) {
    case JsonKind::string: append_json_string(value.text, out); return;
    case JsonKind::number: append_canonical_number(value.text, out); return;
    case JsonKind::boolean_true: out += "true"; return;
    case JsonKind::boolean_false: out += "false"; return;
    case JsonKind::null: out += "null"; return;
    case JsonKind::array: {
      out += '[';
      for (const JsonNode* element = value.begin(); element != value.end(); element = element->next()) {
        if (element != value.begin()) out += ',';
        append_canonical(*element, out);
      }
      out += ']';
      return;
    }
    case JsonKind::object: {
      std::vector<const JsonNode*> members;
      members.reserve(value.count);
      for (const JsonNode* member = value.begin(); member != value.end(); member = member->next()) {
        members.push_back(member);
      }
      std::sort(members.begin(), members.end(), [](const JsonNode* a, const JsonNode* b) { return a->name < b->name; });
      out += '{';
      for (const JsonNode* member : members) {
        if (member != members.front()) out += ',';
        append_json_string(member->name, out);
        out += ':';
        append_canonical(*member, out);
      }
      out += '}';
      return;
    }
  }
}

}  // namespace stele::detail
