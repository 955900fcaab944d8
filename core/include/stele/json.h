// JSON carried as validated text and parsed only when asked.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "stele/export.h"

namespace stele {

/// An immutable JSON object or array, kept as the text it was given (G11).
///
/// The text is valid UTF-8 and valid JSON (RFC 8259), nested at most `limits::json_depth` deep, without U+0000 in any
/// string (PostgreSQL cannot hold it), without lone surrogates, without a name twice in one object, and with numbers of
/// at most `limits::json_number_length` characters and exponent, smaller than 1e308. Every backend can keep these
/// rules.
class STELE_API Json {
 public:
  Json() : text_("{}") {}

  /// Validates. Throws invalid_argument that says what is wrong and at which byte.
  explicit Json(std::string text);
  explicit Json(std::string_view text) : Json(std::string(text)) {}
  explicit Json(const char* text) : Json(std::string(text)) {}
  explicit Json(const nlohmann::json& value);

  /// For text that a Json produced earlier, such as a column of the store: nothing is checked.
  static Json trusted(std::string text) noexcept;
  /// As trusted(), reusing this object's memory.
  void assign_trusted(std::string_view text) { text_.assign(text); }

  /// The text as it was given, or as the database kept it: equal as JSON, not always byte for byte.
  const std::string& text() const noexcept { return text_; }

  /// Parses. Numbers beyond 64 bits or a double's precision lose digits here and only here; text() has them all.
  nlohmann::json value() const;

  bool is_object() const noexcept;

  /// One text for all equal documents: names sorted by bytes, no white space, numbers as exact decimals in one form.
  std::string canonical() const;

  /// One text for all equal documents, as RFC 8785 (JSON Canonicalization Scheme) writes it, so that others can make it
  /// too: names sorted by UTF-16 code units, numbers as ECMAScript lays them out. RFC 8785 knows doubles only; here
  /// every digit counts: a number that is not the shortest spelling of a double, such as 9007199254740993 or one of 30
  /// digits, keeps all its digits in the same layout, where RFC 8785 would round it.
  std::string rfc8785() const;

  /// Byte equality of the texts. For equality as JSON use json_equal().
  friend bool operator==(const Json&, const Json&) noexcept = default;

 private:
  struct Unchecked {};
  Json(Unchecked, std::string text) noexcept : text_(std::move(text)) {}
  std::string text_;
};

/// Equality as JSON: member order, white space, escapes and the spelling of a number (1, 1.0, 1e0) do not count; every
/// digit does.
STELE_API bool json_equal(const Json& a, const Json& b);

}  // namespace stele
