// Writing JSON text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace stele::detail {

/// Appends a string in quotes, escaping only what has to be.
inline void append_json_string(std::string_view text, std::string& out) {
  constexpr std::string_view hex_digits = "0123456789abcdef";
  out += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, done, i - done);
    done = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        out += "\\u00";
        out += hex_digits[c >> 4];
        out += hex_digits[c & 0x0F];
    }
  }
  out.append(text, done, text.size() - done);
  out += '"';
}

/// Appends an object member by member. The names are literals that need no escape.
class JsonObjectWriter {
 public:
  explicit JsonObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void end() { out_ += '}'; }

  /// Appends the name; the caller appends the value.
  std::string& name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }

  void text(std::string_view name_text, std::string_view value) { append_json_string(value, name(name_text)); }
  /// For a name that is not ours.
  void escaped_name_text(std::string_view name_text, std::string_view value) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(name_text, out_);
    out_ += ':';
    append_json_string(value, out_);
  }
  void boolean(std::string_view name_text, bool value) { name(name_text) += value ? "true" : "false"; }

  /// Exact for readers that keep 64 bits.
  void integer(std::string_view name_text, std::int64_t value) { name(name_text) += std::to_string(value); }

  /// As a string above 2^53 - 1, which is where readers with doubles begin to round.
  void safe_integer(std::string_view name_text, std::int64_t value) {
    constexpr std::int64_t largest_safe = (std::int64_t{1} << 53) - 1;
    if (value > largest_safe || value < -largest_safe) {
      text(name_text, std::to_string(value));
    } else {
      integer(name_text, value);
    }
  }

  /// A JSON text, on one line: line ends between its tokens become spaces. Within strings there are none.
  void json(std::string_view name_text, std::string_view value) {
    std::string& out = name(name_text);
    const std::size_t begin = out.size();
    out += value;
    const auto first = out.begin() + static_cast<std::ptrdiff_t>(begin);
    std::replace(first, out.end(), '\n', ' ');
    std::replace(first, out.end(), '\r', ' ');
  }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace stele::detail
