#include "canonical_json.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "exact_decimal.h"
#include "json_sax.h"
#include "json_write.h"
#include "stele/json.h"

namespace stele {
namespace detail {

ExactDecimal parse_decimal(std::string_view number) {
  ExactDecimal decimal;
  if (number.front() == '-') {
    decimal.negative = true;
    number.remove_prefix(1);
  }
  if (const std::size_t e = number.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view exponent = number.substr(e + 1);
    if (exponent.front() == '+') exponent.remove_prefix(1);
    std::from_chars(exponent.data(), exponent.data() + exponent.size(), decimal.exponent);
    number = number.substr(0, e);
  }
  decimal.digits = number;
  if (const std::size_t point = decimal.digits.find('.'); point != std::string::npos) {
    decimal.digits.erase(point, 1);
    decimal.exponent -= static_cast<std::int64_t>(decimal.digits.size() - point);
  }
  decimal.digits.erase(0, decimal.digits.find_first_not_of('0'));  // npos erases all: the number is zero
  if (decimal.digits.empty()) return {.negative = false, .digits = "0", .exponent = 0};
  const std::size_t kept = decimal.digits.find_last_not_of('0') + 1;
  decimal.exponent += static_cast<std::int64_t>(decimal.digits.size() - kept);
  decimal.digits.resize(kept);
  return decimal;
}

int compare(const ExactDecimal& a, const ExactDecimal& b) noexcept {
  const auto sign = [](const ExactDecimal& d) { return d.digits == "0" ? 0 : d.negative ? -1 : 1; };
  if (sign(a) != sign(b) || sign(a) == 0) return sign(a) < sign(b) ? -1 : sign(a) > sign(b) ? 1 : 0;
  // Digits begin with none that is zero, so the one that reaches higher is greater.
  const auto reach = [](const ExactDecimal& d) { return static_cast<std::int64_t>(d.digits.size()) + d.exponent; };
  int magnitude = reach(a) < reach(b) ? -1 : reach(a) > reach(b) ? 1 : 0;
  if (magnitude == 0) {
    const int digits = a.digits.compare(b.digits);
    magnitude = digits < 0 ? -1 : digits > 0 ? 1 : 0;
  }
  return a.negative ? -magnitude : magnitude;
}

void append_canonical_number(std::string_view number, std::string& out) {
  // A whole number that does not end in zero is in this form already.
  if (number.back() != '0' &&
      number.find_first_not_of("0123456789", number.front() == '-' ? 1 : 0) == std::string_view::npos) {
    out += number;
    return;
  }
  const ExactDecimal decimal = parse_decimal(number);
  if (decimal.negative) out += '-';
  out += decimal.digits;
  if (decimal.exponent != 0) {
    out += 'e';
    out += std::to_string(decimal.exponent);
  }
}

// As ECMA-262 lays a double out, Number::toString, from the exact decimal.
void append_rfc8785_number(std::string_view number, std::string& out) {
  if (number.size() <= 15 && number.front() != '0' && number.front() != '-' &&
      number.find_first_not_of("0123456789") == std::string_view::npos) {
    out += number;
    return;
  }
  const ExactDecimal decimal = parse_decimal(number);
  if (decimal.negative) out += '-';
  const auto count = static_cast<std::int64_t>(decimal.digits.size());
  const std::int64_t point = count + decimal.exponent;  // How many digits stand before the point.
  if (decimal.digits == "0") {
    out += '0';
  } else if (count <= point && point <= 21) {
    out += decimal.digits;
    out.append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out.append(decimal.digits, 0, static_cast<std::size_t>(point));
    out += '.';
    out.append(decimal.digits, static_cast<std::size_t>(point), std::string::npos);
  } else if (-6 < point && point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0');
    out += decimal.digits;
  } else {
    out += decimal.digits.front();
    if (count > 1) {
      out += '.';
      out.append(decimal.digits, 1, std::string::npos);
    }
    out += point > 0 ? "e+" : "e-";
    out += std::to_string(point > 0 ? point - 1 : 1 - point);
  }
}

bool utf16_less(std::string_view a, std::string_view b) noexcept {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (in_a == a.end() || in_b == b.end()) return in_a == a.end() && in_b != b.end();
  const auto x = static_cast<unsigned char>(*in_a);
  const auto y = static_cast<unsigned char>(*in_b);
  // Characters above U+FFFF begin with a surrogate there, which comes before U+E000 … U+FFFF.
  if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return x >= 0xF0;
  return x < y;
}

namespace {

/// Writes values as they come; at an object's end puts its members in order.
class Canonicalizer {
 public:
  Canonicalizer(std::string& out, CanonicalForm form) : out_(out), form_(form) {}

  void open(bool object, std::size_t) {
    separate();
    out_ += object ? '{' : '[';
    open_.push_back({object, out_.size(), members_.size(), names_.size()});
    behind_value_ = false;
  }

  void close(bool object, std::size_t) {
    const Open top = open_.back();
    if (object) {
      sort_members(top);
      members_.resize(top.first_member);
      names_.resize(top.names_begin);
    }
    open_.pop_back();
    out_ += object ? '}' : ']';
    behind_value_ = true;
  }

  void name(std::string_view name, std::size_t) {
    separate();
    members_.push_back({names_.size(), name.size(), out_.size()});
    names_ += name;
    append_json_string(name, out_);
    out_ += ':';
    behind_value_ = false;
  }

  void string(std::string_view text, std::size_t) {
    separate();
    append_json_string(text, out_);
    behind_value_ = true;
  }

  void number(std::string_view number, std::size_t) {
    separate();
    if (form_ == CanonicalForm::rfc8785) {
      append_rfc8785_number(number, out_);
    } else {
      append_canonical_number(number, out_);
    }
    behind_value_ = true;
  }

  void literal(std::string_view word, std::size_t) {
    separate();
    out_ += word;
    behind_value_ = true;
  }

 private:
  struct Open {
    bool object;
    std::size_t begin;  // in out_, behind the bracket
    std::size_t first_member;
    std::size_t names_begin;
  };
  struct Member {
    std::size_t name_begin;  // in names_
    std::size_t name_size;
    std::size_t begin;  // in out_
  };

  void separate() {
    if (behind_value_) out_ += ',';
  }

  std::string_view name_of(const Member& member) const {
    return std::string_view(names_).substr(member.name_begin, member.name_size);
  }

  void sort_members(const Open& object) {
    const auto first = members_.begin() + static_cast<std::ptrdiff_t>(object.first_member);
    const auto by_name = [this](const Member& a, const Member& b) {
      return form_ == CanonicalForm::rfc8785 ? utf16_less(name_of(a), name_of(b)) : name_of(a) < name_of(b);
    };
    if (std::is_sorted(first, members_.end(), by_name)) return;
    unsorted_.assign(out_, object.begin);
    // Where each member's text ends in unsorted_: before the comma of the next, or at the end.
    std::vector<std::size_t> order;
    const std::size_t count = members_.size() - object.first_member;
    order.reserve(count);
    for (std::size_t i = 0; i < count; ++i) order.push_back(i);
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return by_name(first[at(a)], first[at(b)]); });
    out_.resize(object.begin);
    for (const std::size_t i : order) {
      if (out_.size() != object.begin) out_ += ',';
      const std::size_t begin = first[at(i)].begin - object.begin;
      const std::size_t end = i + 1 < count ? first[at(i + 1)].begin - object.begin - 1 : unsorted_.size();
      out_.append(unsorted_, begin, end - begin);
    }
  }

  static std::ptrdiff_t at(std::size_t i) noexcept { return static_cast<std::ptrdiff_t>(i); }

  std::string& out_;
  CanonicalForm form_;
  std::vector<Open> open_;
  std::vector<Member> members_;  // of the open objects, outermost first
  std::string names_;            // decoded
  std::string unsorted_;
  bool behind_value_ = false;
};

}  // namespace

void append_canonical(std::string_view json, CanonicalForm form, std::string& out) {
  Canonicalizer canonicalizer(out, form);
  scan_json(json, canonicalizer, {.limit_numbers = false, .any_value = true});
}

}  // namespace detail

std::string Json::canonical() const {
  std::string out;
  out.reserve(text_.size());
  detail::append_canonical(text_, detail::CanonicalForm::exact, out);
  return out;
}

std::string Json::rfc8785() const {
  std::string out;
  out.reserve(text_.size());
  detail::append_canonical(text_, detail::CanonicalForm::rfc8785, out);
  return out;
}

bool json_equal(const Json& a, const Json& b) {
  if (a.text() == b.text()) return true;
  return a.is_object() == b.is_object() && a.canonical() == b.canonical();
}

}  // namespace stele
