// One pass over a JSON text by the rules of stele::Json: RapidJSON's parser, and the rules that it does not know.
#pragma once

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "exact_decimal.h"
#include "stele/error.h"
#include "stele/limits.h"
#include "utf8.h"

namespace stele::detail {

struct JsonRules {
  std::size_t depth = limits::json_depth;
  /// Off for texts from a store, which may spell a number that was within the limits in a longer way.
  bool limit_numbers = true;
  /// Takes a string, a number, true, false or null alone as well.
  bool any_value = false;
};

[[noreturn]] inline void fail_json(std::string_view what, std::size_t offset) {
  throw Error(ErrorCode::invalid_argument, "JSON: " + std::string(what) + " at byte " + std::to_string(offset));
}

/// Passes what RapidJSON sees on to a visitor, which has these functions, called in the text's order. `end` is the
/// offset behind the bracket or the token; views live during the call; names and strings are decoded.
///     void open(bool object, std::size_t end);      void close(bool object, std::size_t end);
///     void name(std::string_view, std::size_t end); void string(std::string_view, std::size_t end);
///     void number(std::string_view, std::size_t end);
///     void literal(std::string_view, std::size_t end);  // true, false, null
template <class Visitor>
class JsonSax {
 public:
  JsonSax(std::string_view text, Visitor& visitor, const JsonRules& rules)
      : text_(text),
        has_unicode_escapes_(text.find("\\u") != std::string_view::npos),
        stream_(text.data(), text.size()),
        visitor_(visitor),
        rules_(rules) {}

  void run() {
    constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;
    // Once for the text instead of character by character in the parser.
    if (const std::size_t invalid = find_invalid_utf8(text_); invalid != std::string_view::npos) {
      fail_json("not valid UTF-8", invalid);
    }
    rapidjson::Reader reader;
    const rapidjson::ParseResult result = reader.Parse<flags>(stream_, *this);
    if (result.IsError()) fail_json(words(result.Code()), result.Offset());
    // The parser takes a NUL for the end of the text.
    if (stream_.Tell() != text_.size()) fail_json("there is more text behind the document", stream_.Tell());
  }

  // --- Called by RapidJSON
  bool StartObject() { return open(true); }
  bool EndObject(rapidjson::SizeType) { return close(true); }
  bool StartArray() { return open(false); }
  bool EndArray(rapidjson::SizeType) { return close(false); }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    visitor_.name(checked({text, size}), stream_.Tell());
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    inside();
    visitor_.string(checked({text, size}), stream_.Tell());
    return true;
  }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    inside();
    const std::string_view number(text, size);
    if (rules_.limit_numbers) check_number(number);
    visitor_.number(number, stream_.Tell());
    return true;
  }
  bool Null() { return literal("null"); }
  bool Bool(bool value) { return literal(value ? "true" : "false"); }
  // Numbers come as text.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }

 private:
  static constexpr std::string_view too_large = "a number is too large, 1e308 or more; it ends";

  bool open(bool object) {
    if (++depth_ > rules_.depth) fail_json("it is nested too deeply", stream_.Tell());
    visitor_.open(object, stream_.Tell() + 1);  // RapidJSON steps over a bracket after the call.
    return true;
  }

  bool close(bool object) {
    --depth_;
    visitor_.close(object, stream_.Tell() + 1);
    return true;
  }

  bool literal(std::string_view word) {
    inside();
    visitor_.literal(word, stream_.Tell());
    return true;
  }

  void inside() const {
    if (depth_ == 0 && !rules_.any_value) fail_json("an object or an array has to begin", 0);
  }

  std::string_view checked(std::string_view text) const {
    if (!has_unicode_escapes_) return text;
    if (text.find('\0') != std::string_view::npos) {
      fail_json("a string holds U+0000, which not every database can keep; it ends", stream_.Tell());
    }
    // The parser decodes \uDC00 … \uDFFF standing alone into what is no character.
    for (std::size_t i = text.find('\xED'); i < text.size(); i = text.find('\xED', i + 1)) {
      if (static_cast<unsigned char>(text[i + 1]) >= 0xA0) {
        fail_json("a string holds a surrogate without its other half; it ends", stream_.Tell());
      }
    }
    return text;
  }

  void check_number(std::string_view number) const {
    if (number.size() > limits::json_number_length) fail_json("a number is too long; it ends", stream_.Tell());
    const std::size_t e = number.find_first_of("eE");
    if (e == std::string_view::npos && number.size() <= 308) return;
    if (e != std::string_view::npos) {
      std::size_t exponent = 0;
      const std::size_t digits = number.find_first_not_of("eE+-", e);
      const auto read = std::from_chars(number.data() + digits, number.data() + number.size(), exponent);
      if (read.ec != std::errc() || exponent > limits::json_number_length) {
        fail_json("a number's exponent is too large; it ends", stream_.Tell());
      }
    }
    const ExactDecimal decimal = parse_decimal(number);
    if (static_cast<std::int64_t>(decimal.digits.size()) + decimal.exponent > 308) fail_json(too_large, stream_.Tell());
  }

  static std::string_view words(rapidjson::ParseErrorCode code) {
    switch (code) {
      case rapidjson::kParseErrorDocumentEmpty: return "an object or an array has to begin";
      case rapidjson::kParseErrorDocumentRootNotSingular: return "there is more text behind the document";
      case rapidjson::kParseErrorValueInvalid: return "not a value";
      case rapidjson::kParseErrorObjectMissName: return "expected a name in quotes";
      case rapidjson::kParseErrorObjectMissColon: return "expected ':'";
      case rapidjson::kParseErrorObjectMissCommaOrCurlyBracket: return "expected ',' or '}'";
      case rapidjson::kParseErrorArrayMissCommaOrSquareBracket: return "expected ',' or ']'";
      case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
        return "\\u has to be followed by four hexadecimal digits";
      case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
        return "a string holds a surrogate without its other half";
      case rapidjson::kParseErrorStringEscapeInvalid:
        return "an escape that does not exist, or a control character that is not escaped";
      case rapidjson::kParseErrorStringMissQuotationMark: return "a string does not end";
      case rapidjson::kParseErrorStringInvalidEncoding:
        return "not valid UTF-8, or a control character that is not escaped";
      case rapidjson::kParseErrorNumberTooBig: return too_large;
      case rapidjson::kParseErrorNumberMissFraction: return "a number has no digits behind its point";
      case rapidjson::kParseErrorNumberMissExponent: return "a number has no digits in its exponent";
      default: return rapidjson::GetParseError_En(code);
    }
  }

  std::string_view text_;
  bool has_unicode_escapes_;
  rapidjson::MemoryStream stream_;
  Visitor& visitor_;
  JsonRules rules_;
  std::size_t depth_ = 0;
};

/// Throws invalid_argument for a text that breaks the rules, save names that come twice: see JsonNames.
template <class Visitor>
void scan_json(std::string_view text, Visitor& visitor, const JsonRules& rules = {}) {
  JsonSax<Visitor>(text, visitor, rules).run();
}

}  // namespace stele::detail
