#include "ecma_pattern.h"

#include <re2/re2.h>

#include <charconv>
#include <cstdint>

#include "hex_digit.h"
#include "stele/error.h"

namespace stele::detail {
namespace {

// What \s stands for in ECMA-262, and everything else; RE2's own \s is ASCII's.
constexpr std::string_view space_members =
    R"(\t\n\x{B}\f\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF})";
constexpr std::string_view no_space_members =
    R"(\x{0}-\x{8}\x{E}-\x{1F}!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
    R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF})";

/// Reads one expression from its beginning to its end. What both syntaxes have in common is passed on; RE2 itself finds
/// what is wrong with it.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (!done()) {
      const char c = take();
      switch (c) {
        case '\\': escape(false); break;
        case '[': character_class(); break;
        case '(': group(); break;
        case '.': out_ += R"([^\n\r\x{2028}\x{2029}])"; break;
        default: out_ += c;
      }
    }
    return std::move(out_);
  }

 private:
  bool done() const noexcept { return at_ == pattern_.size(); }
  char take() noexcept { return pattern_[at_++]; }
  bool take_if(std::string_view next) noexcept {
    if (!pattern_.substr(at_).starts_with(next)) return false;
    at_ += next.size();
    return true;
  }

  [[noreturn]] static void wrong(std::string_view why) { throw Error(ErrorCode::invalid_argument, std::string(why)); }
  [[noreturn]] static void cannot(std::string_view what) {
    throw Error(ErrorCode::unsupported,
                std::string(what) + " needs backtracking, whose time nobody can promise, and is not offered");
  }

  void group() {
    out_ += '(';
    if (!take_if("?")) return;
    if (take_if(":")) {
      out_ += "?:";
    } else if (take_if("=") || take_if("!")) {
      cannot("a look-ahead, (?= or (?!,");
    } else if (take_if("<=") || take_if("<!")) {
      cannot("a look-behind, (?<= or (?<!,");
    } else if (take_if("<")) {  // A name, which only a back-reference or a program could use.
      while (!done() && pattern_[at_] != '>') ++at_;
      if (!take_if(">")) wrong("a group's name does not end");
    } else {
      wrong("(? has to be followed by ':' or a name");
    }
  }

  void character_class() {
    const bool negated = take_if("^");
    if (take_if("]")) {
      out_ += negated ? R"([\x{0}-\x{10FFFF}])" : R"([^\x{0}-\x{10FFFF}])";
      return;
    }
    out_ += negated ? "[^" : "[";
    while (!done()) {
      const char c = take();
      switch (c) {
        case ']': out_ += ']'; return;
        case '\\': escape(true); break;
        case '[': out_ += "\\["; break;  // RE2 would begin a class by name, [:alpha:].
        default: out_ += c;
      }
    }
    wrong("a character class does not end");
  }

  void code_point(std::uint32_t code) {
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) wrong("an escape stands for no character");
    char hex[8];
    const auto written = std::to_chars(hex, hex + sizeof(hex), code, 16);
    out_ += "\\x{";
    out_.append(hex, written.ptr);
    out_ += '}';
  }

  std::uint32_t hex(int digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = done() ? -1 : hex_digit(take());
      if (digit < 0) wrong("\\x and \\u have to be followed by two and four hexadecimal digits");
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  std::uint32_t unicode() {
    if (take_if("{")) {
      std::uint32_t value = 0;
      std::size_t digits = 0;
      while (!done() && pattern_[at_] != '}') {
        const int digit = hex_digit(take());
        if (digit < 0 || ++digits > 8) wrong("\\u{…} has to hold a character's number");
        value = value * 16 + static_cast<std::uint32_t>(digit);
      }
      if (digits == 0 || !take_if("}")) wrong("\\u{…} has to hold a character's number");
      return value;
    }
    const std::uint32_t first = hex(4);
    if (first < 0xD800 || first > 0xDBFF || !take_if("\\u")) return first;
    const std::uint32_t second = hex(4);
    if (second < 0xDC00 || second > 0xDFFF) wrong("\\u: half of a character without its other half");
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  void escape(bool in_class) {
    if (done()) wrong("it ends in a backslash");
    const char c = take();
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 'n':
      case 'r':
      case 't':
      case 'f':
        out_ += '\\';
        out_ += c;
        return;
      case 'v': out_ += "\\x{B}"; return;
      case 's':
        if (in_class) {
          out_ += space_members;
        } else {
          out_ += '[';
          out_ += space_members;
          out_ += ']';
        }
        return;
      case 'S':
        if (in_class) {
          out_ += no_space_members;
        } else {
          out_ += "[^";
          out_ += space_members;
          out_ += ']';
        }
        return;
      case 'b': out_ += in_class ? "\\x{8}" : "\\b"; return;
      case 'B':
        if (in_class) wrong("\\B does not belong into a character class");
        out_ += "\\B";
        return;
      case 'p':
      case 'P':
        out_ += '\\';
        out_ += c;
        return;
      case 'x': code_point(hex(2)); return;
      case 'u': code_point(unicode()); return;
      case 'c': {
        const char letter = done() ? '\0' : take();
        if (!((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z'))) {
          wrong("\\c has to be followed by a letter");
        }
        code_point(static_cast<std::uint32_t>(letter) & 0x1F);
        return;
      }
      case '0':
        if (!done() && pattern_[at_] >= '0' && pattern_[at_] <= '9') wrong("an octal escape is not allowed");
        code_point(0);
        return;
      case 'k': cannot("a reference to a group by name, \\k,");
      default: break;
    }
    if (c >= '1' && c <= '9') {
      if (in_class) wrong("an octal escape is not allowed");
      cannot("a back-reference, \\1 …,");
    }
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) wrong(std::string("there is no escape \\") + c);
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || byte < 0x20) wrong("a backslash has to be followed by a letter or a sign");
    if (c != ' ' && c != '_') out_ += '\\';
    out_ += c;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_ecma_pattern(std::string_view pattern) {
  return Translator(pattern).run();
}

EcmaPattern::EcmaPattern(std::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_never_capture(true);
  re2_ = std::make_unique<RE2>(translate_ecma_pattern(pattern), options);
  switch (re2_->error_code()) {
    case RE2::NoError: return;
    case RE2::ErrorPatternTooLarge: throw Error(ErrorCode::unsupported, "it is too large when compiled");
    case RE2::ErrorRepeatSize: throw Error(ErrorCode::unsupported, "a repetition of more than 1,000 is not offered");
    default: throw Error(ErrorCode::invalid_argument, re2_->error());
  }
}

EcmaPattern::EcmaPattern(EcmaPattern&&) noexcept = default;
EcmaPattern::~EcmaPattern() = default;

bool EcmaPattern::found_in(std::string_view text) const {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *re2_);
}

}  // namespace stele::detail
