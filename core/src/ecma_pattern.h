// The regular expressions of JSON Schema, searched in linear time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace stele::detail {

/// An ECMA-262 regular expression in Unicode mode, as JSON Schema means it, on RE2: no backtracking, so that no text
/// takes long and no stack overflows.
class EcmaPattern {
 public:
  /// Throws unsupported for what RE2 cannot have, and invalid_argument for what is no expression.
  explicit EcmaPattern(std::string_view pattern);
  EcmaPattern(EcmaPattern&&) noexcept;
  ~EcmaPattern();

  /// Whether it matches anywhere in valid UTF-8. Thread-safe.
  bool found_in(std::string_view text) const;

 private:
  std::unique_ptr<re2::RE2> re2_;
};

/// The same expression in RE2's syntax. Throws as EcmaPattern does.
std::string translate_ecma_pattern(std::string_view pattern);

}  // namespace stele::detail
