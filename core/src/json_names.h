// Finds a name that comes twice in one JSON object.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "json_sax.h"

namespace stele::detail {

/// Fed by a visitor of scan_json. Names compare as the characters they stand for.
class JsonNames {
 public:
  void open(bool object) {
    if (object) objects_.push_back(names_.size());
  }

  void name(std::string_view name, std::size_t end) {
    const Name added{texts_.size(), name.size(), end};
    const std::size_t first = objects_.back();
    // A small object's names are compared as they come; a large one is sorted once, at its end.
    if (names_.size() - first < compared) {
      for (std::size_t i = first; i < names_.size(); ++i) {
        if (text(names_[i]) == name) fail_twice(end);
      }
    }
    texts_ += name;
    names_.push_back(added);
  }

  void close(bool object) {
    if (!object) return;
    const std::size_t first = objects_.back();
    objects_.pop_back();
    if (first == names_.size()) return;
    const std::size_t texts_end = names_[first].begin;
    if (names_.size() - first > compared) {
      const auto begin = names_.begin() + static_cast<std::ptrdiff_t>(first);
      std::sort(begin, names_.end(), [this](const Name& a, const Name& b) {
        return text(a) != text(b) ? text(a) < text(b) : a.end < b.end;
      });
      const auto twice =
          std::adjacent_find(begin, names_.end(), [this](const Name& a, const Name& b) { return text(a) == text(b); });
      if (twice != names_.end()) fail_twice(std::next(twice)->end);
    }
    names_.resize(first);
    texts_.resize(texts_end);
  }

 private:
  static constexpr std::size_t compared = 16;

  struct Name {
    std::size_t begin;  // in texts_
    std::size_t size;
    std::size_t end;  // in the document
  };

  std::string_view text(const Name& name) const { return std::string_view(texts_).substr(name.begin, name.size); }
  [[noreturn]] static void fail_twice(std::size_t end) { fail_json("a name comes twice in one object; it ends", end); }

  std::vector<Name> names_;           // of the open objects, outermost first
  std::string texts_;                 // theirs
  std::vector<std::size_t> objects_;  // where each open object's names begin
};

}  // namespace stele::detail
